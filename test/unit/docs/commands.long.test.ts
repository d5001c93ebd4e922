import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import * as z from 'zod';
import { createProgram } from '../../../scripts/cli/program.ts';
import { blocksOf, pages, ROOT } from './blocks.ts';

const execute = promisify(execFile);
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(read('package.json')));

/** Where a script is run: a step of CI, a test, or the reason why none can. */
type Run = { readonly ci: string } | { readonly test: string } | { readonly needs: string };

/** `npm run …` in blocks of the pages. */
const SCRIPTS: Readonly<Record<string, Run>> = {
  dev: { ci: 'npm run smoke' },
  smoke: { ci: 'npm run smoke' },
  check: { ci: 'npm run check' },
  'test:all': { ci: 'npm run test:all' },
  format: { ci: 'npm run check' },
  sql: { test: 'test/e2e/dev-stack.long.test.ts' },
  'features:as-of': { test: 'test/unit/scripts/features-as-of.long.test.ts' },
  contracts: { ci: 'npm run contracts' },
  openapi: { test: 'test/unit/scripts/openapi.long.test.ts' },
  'catalog:examples': { test: 'test/support/gateway/catalog-examples.ts' },
  scaffold: { test: 'test/unit/scripts/scaffold.long.test.ts' },
  'db:generate': { test: 'test/unit/scripts/generate.long.test.ts' },
  'db:capture': { test: 'test/unit/storage/capture.test.ts' },
  bundle: { test: 'test/unit/scripts/bundle.test.ts' },
  publish: { test: 'test/unit/scripts/bundle.test.ts' },
  cli: { test: 'test/e2e/command-line.long.test.ts' },
  // `npm run smoke` trains the first version of each model in this way.
  train: { ci: 'npm run smoke' },
  'client:types': { test: 'test/unit/client/types.test.ts' },
  sim: { test: 'test/simulation' },
  'demo:learning': {
    needs: 'ten minutes on a machine that does nothing else; docs/learning-loop.md says what was seen',
  },
  monitoring: { test: 'test/unit/scripts/monitoring.long.test.ts' },
  'verify:features': { test: 'test/e2e/point-in-time.long.test.ts' },
  'sim:pipeline': { test: 'test/simulation/pipeline' },
  'verify:coherence': { test: 'scripts/prove-replaceable.ts' },
  chaos: { test: 'test/e2e/chaos.long.test.ts' },
  'conformance:onnx': { test: 'test/conformance/onnx/conformance.long.test.ts' },
  import: { needs: 'a file of the UCI data sets; the script belongs to the project of the catalog' },
  environments: { test: 'test/unit/scripts/environments.test.ts' },
  sbom: { test: 'test/unit/scripts/sbom.long.test.ts' },
  licences: { ci: 'npm run check' },
  deploy: { test: 'test/e2e/deploy.long.test.ts' },
};
/** Their `--help` lists the options. Of the others the source has to name them. */
const WITH_HELP = [
  'dev',
  'sql',
  'features:as-of',
  'scaffold',
  'train',
  'bundle',
  'publish',
  'chaos',
  'db:generate',
  'db:capture',
  'deploy',
  'client:types',
  'catalog:examples',
  'monitoring',
  'environments',
  'sbom',
  'licences',
];

/** The options of all commands of `npm run cli`. */
const CLI_OPTIONS = new Set(optionsOf(createProgram(ROOT)));

function optionsOf({ options, commands: inner }: Command): string[] {
  return [...options.flatMap(({ long }) => long ?? []), ...inner.flatMap(optionsOf)];
}

/** Other commands of blocks, by their beginning. */
const COMMANDS: readonly (readonly [RegExp, Run])[] = [
  [/^npm ci$/, { ci: 'npm ci' }],
  [/^npm test$/, { ci: 'npm run test:all' }],
  [
    /^npx wrangler (login|secret put \w+|queues create [\w-]+|r2 bucket create [\w-]+)$/,
    { needs: 'a Cloudflare account' },
  ],
  [
    /^printf %s "\$KEY" \| sha256sum \| cut -d' ' -f1 \| npx wrangler secret put/,
    { needs: 'a Cloudflare account' },
  ],
  [/^node deploy\/kafka-rest-bridge\/server\.ts$/, { test: 'test/kafka' }],
  [/^(URL=http:\/\/127\.0\.0\.1:8787|KEY=\$\(cat \.millrace\/key\))$/, { ci: 'npm run smoke' }],
  [
    /^(source <\(npm run --silent cli -- completion bash\)|millrace )/,
    { test: 'test/unit/scripts/cli.test.ts' },
  ],
  [/^npm audit /, { needs: 'a registry that answers questions about known faults, which are new each day' }],
  [/^python3 /, { needs: 'Python with a library that trains; the tests of the example run its programs' }],
  [/^curl /, { test: 'test/unit/docs/requests.test.ts' }],
];

/** The commands of the pages' blocks, without comments and variables before them. */
const commands = pages()
  .flatMap(blocksOf)
  .filter(({ language }) => language === 'sh')
  .flatMap(({ page, text }) =>
    text
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .map((line) => line.replace(/\s+# .*$/, '').trim())
      .filter((line) => line !== '')
      .map((line) => ({ page, line: line.replace(/^([A-Z_]+=[^\s$]+\s+)+(?=\S)/, '') })),
  );
const SCRIPT = /^npm run ([\w:-]+)/;
/** Commands in the text of the pages. */
const inline = pages().flatMap((page) =>
  [...read(page).matchAll(/`(?:DATABASE_URL=\S+ )?(npm run [^`\n]+)`/g)].map(([, line = '']) => ({
    page,
    line,
  })),
);

it('has a table of what runs each command', () => {
  expect(commands.length).toBeGreaterThan(30);
  const runs = commands.map(({ page, line }) => {
    const script = SCRIPT.exec(line)?.[1];
    const run = script === undefined ? COMMANDS.find(([begins]) => begins.test(line))?.[1] : SCRIPTS[script];
    return { page, line, run };
  });
  expect(runs.filter(({ run }) => run === undefined)).toEqual([]);
});

it('names steps and tests that exist', () => {
  const ci = read('.ci/run');
  const runs = [...Object.values(SCRIPTS), ...COMMANDS.map(([, run]) => run)];
  const missing = runs.filter(
    (run) => ('ci' in run && !ci.includes(run.ci)) || ('test' in run && !existsSync(join(ROOT, run.test))),
  );
  expect(missing).toEqual([]);
});

it('has scripts and options that package.json and --help know', async () => {
  const used = new Map<string, Set<string>>();
  for (const { page, line } of [...commands, ...inline]) {
    const script = SCRIPT.exec(line)?.[1];
    if (script === undefined) continue;
    expect(Object.keys(scripts), `${page}: ${line}`).toContain(script);
    const options = [...(line.split(' -- ')[1] ?? '').matchAll(/--[\w-]+/g)].map(([option]) => option);
    used.set(script, new Set([...(used.get(script) ?? []), ...options]));
  }
  const unknown = await Promise.all(
    [...used].map(async ([script, options]) => {
      options.delete('--help');
      if (options.size === 0) return [];
      if (script === 'cli') return [...options].filter((option) => !CLI_OPTIONS.has(option));
      const text = WITH_HELP.includes(script) ? await helpOf(script) : sourceOf(script);
      return [...options].filter((option) => !text.includes(option)).map((option) => `${script} ${option}`);
    }),
  );
  expect(unknown.flat()).toEqual([]);
});

/** What the script says of itself. */
async function helpOf(script: string): Promise<string> {
  const [file = '', ...before] = (scripts[script] ?? '').replace(/^node /, '').split(' ');
  return (await execute(process.execPath, [file, ...before, '--help'], { cwd: ROOT })).stdout;
}

/** The names that it gives to `readOptions`, as options. */
function sourceOf(script: string): string {
  const [, file = ''] = /^node (\S+)/.exec(scripts[script] ?? '') ?? [];
  return [...read(file).matchAll(/^\s*'?([\w-]+)'?: \{ type: |(\w[\w-]*): \{ type: /gm)]
    .map(([, own = '', other = '']) => `--${own || other}`)
    .join(' ');
}
