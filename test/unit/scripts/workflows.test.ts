import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { createProgram } from '../../../scripts/cli/program.ts';

const ROOT = join(import.meta.dirname, '../../..');
const FOLDER = join(ROOT, '.github/workflows');
const FILES = readdirSync(FOLDER);
const ACTIONLINT = process.env['TEST_ACTIONLINT'];

const Workflow = z.object({
  jobs: z.record(
    z.string(),
    z.object({
      'timeout-minutes': z.number(),
      needs: z.string().optional(),
      environment: z.string().optional(),
      steps: z.array(
        z.object({ run: z.string().optional(), if: z.string().optional(), id: z.string().optional() }),
      ),
    }),
  ),
});
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')));

function workflow(file: string) {
  return Workflow.parse(parse(readFileSync(join(FOLDER, file), 'utf8')));
}

const LINES = FILES.flatMap((file) =>
  Object.values(workflow(file).jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? [])),
);

/** What of a command of `npm run cli` does not exist. */
function unknownOf(words: readonly string[]): string[] {
  let command: Command = createProgram(ROOT);
  const unknown: string[] = [];
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word);
    if (next !== undefined) command = next;
    else if (
      word.startsWith('--') &&
      ![command, createProgram(ROOT)].some(({ options }) => options.some(({ long }) => long === word))
    )
      unknown.push(word);
  }
  return command.commands.length > 0 ? [`${command.name()} needs a command`, ...unknown] : unknown;
}

describe('the workflows', () => {
  it.each(LINES)('run a command that exists: %s', (line) => {
    const [, script = '', rest = ''] = /^npm (?:run )?([\w:]+)(?: -- (.*))?$/.exec(line) ?? [];
    if (/^npm ci$|^npx wrangler rollback --env \w+ --yes --message \w+$/.test(line)) return;
    expect(Object.keys(scripts)).toContain(script);
    const words = rest
      .replaceAll(/"[^"]*"/g, '"…"')
      .split(' ')
      .filter(Boolean);
    if (script === 'cli') expect(unknownOf(words)).toEqual([]);
    const source = readFileSync(join(ROOT, 'scripts/deploy.ts'), 'utf8');
    if (script === 'deploy')
      for (const option of words.filter((word) => word.startsWith('--')))
        expect(source).toMatch(new RegExp(`^ +${option.slice(2)}: \\{ type: `, 'm'));
  });

  it('deploy to production only what has passed integration and staging, and go back by themselves', () => {
    const { check, integration, staging, production } = workflow('deploy.yml').jobs;
    expect([integration?.needs, staging?.needs, production?.needs]).toEqual([
      'check',
      'integration',
      'staging',
    ]);
    expect(check?.environment).toBeUndefined();
    for (const [name, job] of Object.entries({ integration, staging, production })) {
      const deploys = job?.steps.filter(({ run }) => run?.startsWith('npm run deploy')) ?? [];
      expect([job?.environment, deploys.length > 0]).toEqual([name, true]);
      for (const { run } of deploys) expect(run).toMatch(new RegExp(`--env ${name} .*--rollback$`));
    }
  });

  it('switch a phase off again where its watch fails', () => {
    const steps = workflow('phases.yml').jobs['switch']?.steps ?? [];
    for (const phase of ['pipeline', 'cache', 'inference']) {
      expect(steps.find(({ id }) => id === phase)?.run).toContain('alerts watch');
      const off = steps.find(({ run }) => run?.startsWith(`npm run cli -- phases set ${phase} off`));
      expect(off?.if).toBe(`failure() && steps.${phase}.outcome == 'failure'`);
    }
  });

  // The program is a Go module; CI builds it.
  it.skipIf(ACTIONLINT === undefined).each(FILES)('pass actionlint: %s', (file) => {
    expect(execFileSync(ACTIONLINT ?? '', ['-no-color', join(FOLDER, file)], { encoding: 'utf8' })).toBe('');
  });
});
