import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { experimental_readRawConfig, unstable_readConfig } from 'wrangler';
import { purposeOf } from '../../../queues/names.ts';
import { TomlTable, withEnvironments } from '../../../scripts/project/environments.ts';

const PATH = join(import.meta.dirname, '../../../wrangler.toml');
const folder = mkdtempSync(join(tmpdir(), 'millrace-environments-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The text with its environments, and each of them as wrangler reads it. */
function derived(text: string) {
  const path = join(folder, 'wrangler.toml');
  writeFileSync(path, text);
  const raw = TomlTable.parse(experimental_readRawConfig({ config: path }, { hideWarnings: true }).rawConfig);
  const whole = withEnvironments(text, raw);
  writeFileSync(path, whole);
  const as = (env?: string) =>
    unstable_readConfig({ config: path, ...(env === undefined ? {} : { env }) }, { hideWarnings: true });
  return {
    ...{ text: whole, base: as(), production: as('production') },
    others: [as('integration'), as('staging')] as const,
  };
}

type Config = ReturnType<typeof unstable_readConfig>;

function queuesOf({ queues }: Config): string[] {
  return [...(queues.producers ?? []), ...(queues.consumers ?? [])].map(({ queue }) => queue);
}

function bucketsOf({ r2_buckets }: Config): (string | undefined)[] {
  return r2_buckets.map(({ bucket_name: name }: { bucket_name?: string }) => name);
}

describe('the environments of wrangler.toml', () => {
  const { text, base, production, others } = derived(readFileSync(PATH, 'utf8'));

  it('are up to date', () => {
    expect(text).toBe(readFileSync(PATH, 'utf8'));
  });

  it('have the bindings, limits and migrations of the file itself', () => {
    for (const config of [production, ...others]) {
      expect(config.durable_objects).toEqual(base.durable_objects);
      expect(config.migrations).toEqual(base.migrations);
      expect(config.kv_namespaces).toMatchObject([{ binding: 'CACHE' }]);
      expect(config.version_metadata).toEqual(base.version_metadata);
      expect(config).toMatchObject({ limits: base.limits, triggers: base.triggers, main: base.main });
      expect(queuesOf(config).map(purposeOf)).toEqual(queuesOf(base).map(purposeOf));
    }
  });

  it('share no queue, bucket or worker, but production is the file itself', () => {
    expect([production.name, queuesOf(production), bucketsOf(production)]).toEqual([
      base.name,
      queuesOf(base),
      bucketsOf(base),
    ]);
    const names = [base, ...others].flatMap((config) => [
      config.name,
      ...new Set(queuesOf(config)),
      ...bucketsOf(config),
    ]);
    expect(new Set(names).size).toBe(names.length);
    const dead = others.map(({ queues }) => queues.consumers?.[0]?.dead_letter_queue);
    expect(dead).toEqual(['millrace-integration-dead', 'millrace-staging-dead']);
  });
});

describe('an environment', () => {
  const BASE = `name = "acme"
main = "index.js"
routes = ["api.acme.example/*"]

[vars]
DATABASE_REGION = "weur"

[[kv_namespaces]]
binding = "CACHE"
id = "of-production"

[[queues.producers]]
binding = "EVENTS"
queue = "millrace-events"
`;

  it('has no route, and no namespace, of production', () => {
    const { production, others } = derived(BASE);
    expect(production.routes).toEqual(['api.acme.example/*']);
    expect(production.kv_namespaces).toEqual([{ binding: 'CACHE', id: 'of-production' }]);
    for (const { routes, kv_namespaces: namespaces, vars } of others) {
      expect([routes, namespaces, vars]).toEqual([[], [{ binding: 'CACHE' }], { DATABASE_REGION: 'weur' }]);
    }
    expect(others.map(queuesOf)).toEqual([['integration-millrace-events'], ['staging-millrace-events']]);
  });

  it('keeps its own variables, routes and namespaces, and takes what is new above it', () => {
    const once = derived(BASE).text;
    const own = once
      .replaceAll('routes = []', 'routes = ["s.example/*"]')
      .replaceAll('{ binding = "CACHE" }', '{ binding = "CACHE", id = "of-staging" }')
      .replaceAll(
        'vars = { DATABASE_REGION = "weur" }',
        'vars = { DATABASE_REGION = "oc", "odd.key" = "\\"" }',
      )
      .replace(
        'queue = "millrace-events"\n',
        'queue = "millrace-events"\n\n[[queues.producers]]\nbinding = "B"\nqueue = "acme-b"\n',
      );
    const { text, production, others } = derived(own);
    const [, staging] = others;
    expect(staging).toMatchObject({
      routes: ['s.example/*'],
      vars: { DATABASE_REGION: 'oc', 'odd.key': '"' },
      kv_namespaces: [{ binding: 'CACHE', id: 'of-staging' }],
    });
    expect(queuesOf(staging)).toEqual(['staging-millrace-events', 'acme-staging-b']);
    expect([production.vars, queuesOf(production)]).toEqual([
      { DATABASE_REGION: 'weur' },
      ['millrace-events', 'acme-b'],
    ]);
    expect(derived(text).text).toBe(text);
  });
});
