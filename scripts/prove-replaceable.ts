/**
 * `npm run prove:replaceable`: shows that the product knows none of its examples. In a scratch copy of this checkout
 * one example is removed and another put in its place by the scaffold command; then the checks, the tests,
 * `npm run dev` (seeded, an event followed to fresh answers), a short coherence run and the dry-run deploy have to
 * pass. Of the tests it runs those whose result the catalog can change: the unit tests that import it, that read the tree
 * or that run the commands, and those of the other example. The others serve the catalog of the tests, which is the same
 * in the copy. Each step's result is printed; the command fails if one of them does. package.json names the two examples.
 * `--help` lists the options.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { readOptions, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { exampleNames } from './scaffold/catalog.ts';

/** Enough for every kind of reader, writer and disturbance to occur. */
const COHERENCE = ['--seconds', '10', '--reads', '400'];
const SMOKE_STEP: Step = { name: 'smoke', command: ['npm', 'run', 'smoke'] };
const COHERENCE_STEP: Step = {
  name: 'coherence',
  command: ['npm', 'run', 'verify:coherence', '--', ...COHERENCE],
};
/** As in test/support/node/part.ts: CI has no time for the longest steps. */
const IS_PART = process.env['TEST_PART'] === '1';
/** What the catalog is imported from. */
const CATALOG = ['src/catalog/index.ts', 'src/catalog/project.ts'];
const IMPORTING: Step = {
  name: 'tests that import the catalog',
  command: ['npx', 'vitest', 'related', ...CATALOG, '--run', '--project', 'unit'],
};
/** Unit tests that read the tree or run commands, whatever they import. A part has the cheapest of them. */
const READING = [
  ...['architecture', 'client'],
  ...(IS_PART ? [] : ['docs', 'scripts', 'gateway/page', 'gateway/contract']),
].map((folder) => `test/unit/${folder}`);
/** Lines of a failed step's output that are shown. */
const SHOWN_LINES = 60;
/** They name a real Postgres, schemas and a broker; what needs those has been tested in the checkout itself. */
const NOT_IN_THE_COPY = [
  'TEST_DATABASE_URL',
  'OPENLINEAGE_SCHEMAS',
  'TEST_KAFKA_JARS',
  'TEST_SDK_PYTHON',
  'TEST_SDK_GO',
  'TEST_SDK_JAVA',
  'DATABASE_URL',
  // CI gives its own run of the tests that file.
  'TEST_FAILURES',
  'TEST_DURATIONS',
];

interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

function stepsOf(tests: string, instead: string): Step[] {
  return [
    { name: 'scaffold', command: ['npm', 'run', 'scaffold', '--', '--example', instead] },
    { name: 'check', command: ['npm', 'run', 'check'] },
    { name: 'contracts', command: ['npm', 'run', 'contracts'] },
    ...testsOf(tests, instead),
    ...(IS_PART ? [] : [SMOKE_STEP, COHERENCE_STEP]),
    { name: 'dry-run deploy', command: ['npm', 'run', 'deploy:check'] },
  ];
}

function testsOf(tests: string, instead: string): Step[] {
  if (tests === 'all') return [{ name: 'tests (all)', command: ['npm', 'test'] }];
  const ofExample = `examples/${instead}/test`;
  if (tests === 'catalog')
    return [
      ...(IS_PART ? [] : [IMPORTING]),
      {
        name: 'tests that read the tree or run commands',
        command: ['npx', 'vitest', 'run', '--project', 'unit', ...READING, `${ofExample}/unit`],
      },
      ...endToEnd(ofExample, instead),
    ];
  const projects = tests.split(',');
  const options = projects.flatMap((name) => ['--project', name]);
  const run: Step = { name: `tests (${tests})`, command: ['npx', 'vitest', 'run', ...options] };
  return projects.includes('e2e') ? [run] : [run, ...endToEnd(ofExample, instead)];
}

/** The end-to-end tests of an example, if it has any. A part has the one of its name. */
function endToEnd(tests: string, example: string): Step[] {
  const folder = `${tests}/e2e`;
  if (!existsSync(folder)) return [];
  const filter = IS_PART ? `${folder}/${example}` : folder;
  const projects = ['--project', 'e2e', '--project', 'e2e-long'];
  return [{ name: folder, command: ['npx', 'vitest', 'run', '--passWithNoTests', ...projects, filter] }];
}

/** Copies the files that git knows or would add, but for one folder, with the dependencies. */
async function copyTo(copy: string, removed: string): Promise<void> {
  const { output } = await run(['git', 'ls-files', '--cached', '--others', '--exclude-standard'], '.');
  for (const file of output.split('\n')) {
    if (file === '' || file.startsWith(`${removed}/`) || !existsSync(file)) continue;
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(file, join(copy, file));
  }
  await linkDependencies(copy);
}

/**
 * Hard links, so that what is known of the types of the checkout is known in the copy, too: it names the files of packages
 * by their place. Where they cannot be had, on another file system for instance, one symbolic link.
 */
async function linkDependencies(copy: string): Promise<void> {
  const [from, to] = [join(process.cwd(), 'node_modules'), join(copy, 'node_modules')];
  const { code } = await run(['cp', '-al', from, to], '.');
  if (code !== 0) {
    rmSync(to, { recursive: true, force: true });
    return symlinkSync(from, to);
  }
  // The copy writes its own caches.
  const cache = join(to, '.cache');
  rmSync(cache, { recursive: true, force: true });
  if (existsSync(join(from, '.cache'))) cpSync(join(from, '.cache'), cache, { recursive: true });
}

async function run(
  command: Step['command'],
  cwd: string,
  added: Readonly<Record<string, string>> = {},
): Promise<{ code: number; output: string }> {
  const [program, ...args] = command;
  const env = Object.fromEntries(
    Object.entries({ ...process.env, NO_COLOR: '1' }).filter(([name]) => !NOT_IN_THE_COPY.includes(name)),
  );
  const child = spawn(program, args, { cwd, env: { ...env, ...added }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  const [code]: unknown[] = await once(child, 'close');
  return { code: typeof code === 'number' ? code : 1, output };
}

const COMMAND = 'npm run prove:replaceable';
const USAGE = `Usage: ${COMMAND} -- [--tests catalog] [--keep]

  --remove NAME   the example that is removed; package.json names it
  --instead NAME  the one that is served instead; package.json names it
  --tests LIST    projects of vitest, separated by commas; all: what npm test runs; or catalog, the default: the unit
                  tests whose result the catalog can change. The end-to-end tests of the example that is served are
                  run in any case
  --keep          keeps the copy, and says where it is`;

/** @returns the exit code. */
async function main(): Promise<number> {
  const { values: options } = readOptions({
    command: COMMAND,
    options: {
      remove: { type: 'string' },
      instead: { type: 'string' },
      tests: { type: 'string', default: 'catalog' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const { tests } = options;
  const remove = exampleOf('--remove', options.remove);
  const instead = exampleOf('--instead', options.instead);
  if (remove === instead)
    throw new UsageError(`--remove and --instead both name ${remove}: nothing would be left to serve.`);
  await assertProjects(tests);
  const removed = `examples/${remove}`;
  const copy = mkdtempSync(join(tmpdir(), 'millrace-replaced-'));
  const failures = `${copy}.failures`;
  let failed = 0;
  try {
    await copyTo(copy, removed);
    for (const { name, command } of stepsOf(tests, instead)) {
      const startedAt = performance.now();
      const { code, output } = await run(command, copy, { TEST_FAILURES: failures });
      const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
      console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
      if (name === 'smoke')
        console.log(indented(output.split('\n').filter((line) => /^(ok|FAIL)/.test(line))));
      if (code === 0) continue;
      failed += 1;
      console.log(indented(output.split('\n').slice(-SHOWN_LINES)));
    }
    // Last, so that a record that is cut keeps them.
    if (existsSync(failures)) console.log(indented(readFileSync(failures, 'utf8').split('\n')));
  } finally {
    rmSync(failures, { force: true });
    if (options.keep) console.log(`The copy is kept in ${copy}.`);
    else rmSync(copy, { recursive: true, force: true });
  }
  const what = `${removed} removed, examples/${instead} in its place`;
  console.log(failed === 0 ? `Everything passes with ${what}.` : `${failed} steps failed with ${what}.`);
  return failed === 0 ? 0 : 1;
}

function exampleOf(option: string, name: string | undefined): string {
  const known = exampleNames('.');
  if (name === undefined) throw new UsageError(`Give ${option}, with one of ${known.join(', ')}.`);
  if (!known.includes(name))
    throw new UsageError(`${option}: there is no example "${name}". examples/ has ${known.join(', ')}.`);
  return name;
}

const Vitest = z.object({
  test: z.object({ projects: z.array(z.object({ test: z.object({ name: z.string() }) })) }),
});

/** The tests run late, so a mistyped project is found before the first step. */
async function assertProjects(tests: string): Promise<void> {
  if (tests === 'all' || tests === 'catalog') return;
  const { default: config } = await import('../vitest.config.ts');
  const known = Vitest.parse(config).test.projects.map((project) => project.test.name);
  const unknown = tests.split(',').find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new UsageError(
      `--tests takes all, catalog, or some of ${known.join(',')}; "${unknown}" is none of them.`,
    );
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `     ${line}`).join('\n');
}

await runCommand(main);
