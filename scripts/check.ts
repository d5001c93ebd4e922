/**
 * `npm run check`: every check, two at a time, and all their findings: a long line does not hide a mistake of types.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';

const USAGE = `Usage: npm run check

Runs every check, reports the findings of all of them, and takes 20 to 60 s, and about 15 s if little changed. npm run format fixes formatting.`;

interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly hint?: string;
}

/** The types of a project. What did not change since the check before is not checked again: that takes a tenth of the time. */
function types(project: string): Check['command'] {
  const known = `node_modules/.cache/tsc/${project}.tsbuildinfo`;
  return ['tsc', '-p', project, '--incremental', '--tsBuildInfoFile', known];
}

/** The longest first: two run at once. */
const CHECKS: readonly Check[] = [
  { name: 'types of the worker', command: types('tsconfig.json') },
  { name: 'types of scripts and tests', command: types('tsconfig.node.json') },
  {
    name: 'types of planted faults and of tests of consumers',
    command: types('tsconfig.faults.json'),
  },
  { name: 'dead code', command: ['knip', '--no-config-hints'] },
  {
    name: 'format and lint',
    command: ['biome', 'check'],
    hint: '`npm run format` fixes what can be fixed automatically.',
  },
  { name: 'catalog', command: ['node', 'scripts/check-catalog.ts'] },
  { name: 'lockfile', command: ['node', 'scripts/lockfile.ts', '--check'] },
  { name: 'environments', command: ['node', 'scripts/environments.ts', '--check'] },
  { name: 'licences', command: ['node', 'scripts/licences.ts'] },
];
/** As many as the cores of a small machine. */
const AT_ONCE = 2;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run check',
    options: { help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(USAGE);
  const waiting = [...CHECKS];
  const failed: string[] = [];
  const work = async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift())
      if (!(await passes(check))) failed.push(check.name);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (failed.length === 0) return 0;
  console.error(`\n${failed.length} of ${CHECKS.length} checks failed: ${failed.join(', ')}.`);
  return 1;
});

async function passes({ name, command: [file, ...args], hint }: Check): Promise<boolean> {
  const startedAt = performance.now();
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  const [code]: unknown[] = await once(child, 'close');
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
  if (code === 0) return true;
  console.log(output.trimEnd());
  if (hint !== undefined) console.log(hint);
  return false;
}
