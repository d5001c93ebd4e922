import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeBundleFolder } from '../../scripts/models/bundle.ts';
import { publishFolder } from '../../scripts/models/publish.ts';
import { expectedSpendBundle } from '../support/models/outside.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

const MODEL = '/v1/admin/models/expected-spend';

let stack: Stack;
let folder: string;
beforeAll(async () => {
  stack = await startStack();
  folder = mkdtempSync(join(tmpdir(), 'millrace-registry-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await stack[Symbol.asyncDispose]();
});

const json = (method: string, path: string, body?: unknown, token?: string) =>
  stack.caller.ask(method, path, { json: body, ...(token === undefined ? {} : { token }) });

/** A bundle whose fallback, and so whose version, has the number. */
const bundleOf = (number: number) =>
  expectedSpendBundle({ fallback: { value: number, doubled: 2 * number } });

/** The version that answers, for a reader who has seen the change. */
async function answering(token: string | undefined): Promise<unknown> {
  const { json: answer } = await json('GET', '/v1/customers/ada/expected-spend', undefined, token);
  return answer['model'];
}

describe('the registry of models', () => {
  const versions: string[] = [];

  it('registers a version from a folder with its card and its measurement, and answers with none yet', async () => {
    for (const number of [1, 2]) {
      await writeBundleFolder(folder, await bundleOf(number));
      writeFileSync(join(folder, 'card.md'), `# Expected spend ${number}\n`);
      const target = { url: stack.url.origin, key: KEY };
      versions.push((await publishFolder(folder, target, 'expected-spend', { isPublished: false })).version);
    }
    const shown = await json('GET', `/v1/models/expected-spend/versions/${versions[0]}`);
    expect(shown).toMatchObject({
      status: 200,
      json: { card: '# Expected spend 1\n', registeredBy: 'key:bootstrap', retiredAt: null },
    });
    expect(shown.json['measured']).toMatchObject({ warmP99Ms: expect.any(Number), warmRuns: 25 });
    const again = await json('POST', `${MODEL}/versions`, await bundleOf(1));
    expect(again).toMatchObject({ status: 200, json: { version: versions[0] } });
    expect(await json('GET', '/v1/customers/ada/expected-spend')).toMatchObject({ status: 503 });
  });

  it('answers with the version that is promoted, and at once with another', async () => {
    for (const version of versions) {
      const promoted = await json('PUT', `${MODEL}/aliases/champion`, { version });
      expect(promoted).toMatchObject({ status: 200, json: { alias: 'champion', version } });
      expect(await answering(promoted.token)).toEqual({ name: 'expected-spend', version });
    }
  });

  it('changes an alias only from what was expected', async () => {
    const [first, second] = versions;
    const refused = await json('PUT', `${MODEL}/aliases/champion`, { version: first, expected: first });
    expect(refused).toMatchObject({
      status: 409,
      json: { code: 'alias_changed', detail: expect.stringContaining(`${second}`) },
    });
    const unknown = await json('PUT', `${MODEL}/aliases/champion`, { version: '0'.repeat(12) });
    expect(unknown).toMatchObject({ status: 404, json: { code: 'not_found' } });
    const shadow = await json('PUT', `${MODEL}/aliases/shadow`, { version: first, expected: null });
    expect(shadow).toMatchObject({ status: 200, json: { revision: 1 } });
  });

  it('rolls back to the version before, and no further than the first', async () => {
    const [first] = versions;
    const back = await json('POST', `${MODEL}/rollback`);
    expect(back).toMatchObject({ status: 200, json: { version: first } });
    expect(await answering(back.token)).toEqual({ name: 'expected-spend', version: first });
    expect(await json('POST', `${MODEL}/rollback`, {})).toMatchObject({
      status: 409,
      json: { code: 'no_earlier_version' },
    });
  });

  it('withdraws a version that no alias names, for good', async () => {
    const [first, second] = versions;
    const used = await json('POST', `${MODEL}/versions/${first}/retire`);
    expect(used).toMatchObject({ status: 409, json: { code: 'version_in_use' } });
    expect(await json('POST', `${MODEL}/versions/${second}/retire`)).toMatchObject({ status: 200 });
    const promoted = await json('PUT', `${MODEL}/aliases/champion`, { version: second });
    expect(promoted).toMatchObject({ status: 409, json: { detail: expect.stringContaining('withdrawn') } });
  });

  it('answers with no version once the alias is cleared, and again once it names one', async () => {
    const [first] = versions;
    const cleared = await json('PUT', `${MODEL}/aliases/champion`, { version: null });
    expect(cleared).toMatchObject({ status: 200, json: { version: null } });
    expect(await json('GET', '/v1/customers/ada/expected-spend', undefined, cleared.token)).toMatchObject({
      status: 503,
      json: { code: 'model_unavailable' },
    });
    const named = await json('PUT', `${MODEL}/aliases/champion`, { version: first, expected: null });
    expect(await answering(named.token)).toEqual({ name: 'expected-spend', version: first });
  });

  it('shows versions, aliases and the history of the aliases, and audits each change', async () => {
    const [first, second] = versions;
    const { json: shown } = await json('GET', '/v1/models/expected-spend');
    expect(shown['aliases']).toMatchObject({ champion: { version: first }, shadow: { version: first } });
    expect(shown['versions']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ version: first, retiredAt: null }),
        expect.objectContaining({ version: second, retiredAt: expect.any(String) }),
      ]),
    );
    const history = shown['history'] as { reason: string; version: string }[];
    expect(history.map(({ reason, version }) => [reason, version])).toEqual([
      ['promote', first],
      ['clear', null],
      ['rollback', first],
      ['set', first],
      ['promote', second],
      ['promote', first],
    ]);
    const { json: audit } = await json('GET', '/v1/admin/audit?limit=20');
    const actions = (audit['entries'] as { action: string }[]).map(({ action }) => action);
    for (const action of ['model.register', 'model.promote', 'model.set', 'model.rollback', 'model.retire'])
      expect(actions).toContain(action);
  });
});
