import { createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeDocsAssets } from '../project/docs-assets.ts';
import { catalogMistakes, untilMended } from './catalog-watch.ts';
import type { DevDatabase } from './database.ts';
import { assertPortFree, HOST, whoAnswers } from './port.ts';
import { type OwnedProcess, spawnOwned } from './processes/owned.ts';
import type { ProcessIdentity } from './processes/table.ts';
import { envFileOf } from './state/folder.ts';

/** How long the worker may take to answer its first request. */
const START_TIMEOUT_MS = 60_000;
/** An end later than this is a crash worth a new start; one sooner would only happen again. */
const RESTART_AFTER_MS = 10_000;
/** An error of wrangler is shown after this time, unless it proves to be a mistake in the catalog. */
const HOLD_ERRORS_MS = 3_000;

export interface DevWorker {
  /** Settles when the worker has ended for good; rejects where it cannot be kept running. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

interface WorkerOptions {
  readonly port: number;
  readonly stateDir: string;
  readonly database: DevDatabase;
  readonly apiKeySha256: string;
  /** The id of this start: the worker that shows it is ours. */
  readonly instance: string;
  /** Further variables of the worker. */
  readonly vars?: Readonly<Record<string, string>>;
  /** Called with the leader of each new process group of the worker. */
  readonly onLaunch: (leader: ProcessIdentity) => void;
  /** Ends the waiting for the first answer. */
  readonly signal: AbortSignal;
}

/**
 * Starts `wrangler dev` with everything local and kept in the state folder. Its output goes to `wrangler.log` there;
 * warnings and errors of the worker are shown, too. After a crash it is started again. After a mistake in the catalog, it
 * is started again once the mistake is mended.
 */
export async function startWorker(options: WorkerOptions): Promise<DevWorker> {
  const { port, signal } = options;
  const envFile = writeVars(options);
  const output = new WorkerOutput(join(options.stateDir, 'wrangler.log'));
  const stopping = new AbortController();
  let owned: OwnedProcess | undefined;
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const startedAt = performance.now();
      owned = launch(options, envFile, output);
      options.onLaunch(owned.leader);
      await owned.exited;
      if (stopping.signal.aborted) return;
      if (await mended(output, stopping.signal)) continue;
      if (stopping.signal.aborted) return;
      output.release();
      if (performance.now() - startedAt < RESTART_AFTER_MS)
        throw new Error(
          `wrangler dev ended at once. The cause is in ${join(options.stateDir, 'wrangler.log')}.`,
        );
      console.error('  wrangler dev has ended; starting it again');
    }
  };
  const ended = run();
  ended.catch(() => undefined);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await owned?.end();
    await ended.catch(() => undefined);
  };
  try {
    await Promise.race([untilLive(port, options.instance, signal), ended]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ended, stop };
}

/**
 * Whether the worker ended because of a mistake in the catalog that is mended now.
 *
 * @returns false where the catalog has no mistake, or the signal aborted.
 */
async function mended(output: WorkerOutput, signal: AbortSignal): Promise<boolean> {
  const mistakes = await catalogMistakes();
  if (mistakes === undefined || signal.aborted) return false;
  output.drop();
  const report = (text: string) =>
    console.error(
      `\n${text}\nThe worker is stopped. It starts again once the catalog is corrected and saved.`,
    );
  report(mistakes);
  if (!(await untilMended(mistakes, report, signal))) return false;
  console.log('  the catalog has no mistakes now; starting the worker');
  return true;
}

/** The worker's variables, in a file that only the owner reads: they hold the database's password. */
function writeVars({ stateDir, database, apiKeySha256, instance, vars }: WorkerOptions): string {
  const envFile = envFileOf(stateDir);
  const all = {
    DATABASE_URL: database.connectionString,
    DATABASE_ENDPOINT: database.endpoint,
    API_KEY_SHA256: apiKeySha256,
    INSTANCE_ID: instance,
    ...vars,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}="${value}"\n`);
  writeFileSync(envFile, lines.join(''), { mode: 0o600 });
  return envFile;
}

function launch({ port, stateDir }: WorkerOptions, envFile: string, output: WorkerOutput): OwnedProcess {
  const flags = ['--ip', HOST, '--port', String(port), '--inspector-port', '0'];
  const assets = join(stateDir, 'assets');
  writeDocsAssets(assets);
  const state = ['--persist-to', join(stateDir, 'worker'), '--env-file', envFile, '--assets', assets];
  const args = ['dev', ...flags, ...state, '--show-interactive-dev-session=false'];
  const owned = spawnOwned('wrangler', args, {
    output: 'pipe',
    env: {
      ...process.env,
      // Nothing here needs a network: these are the places where wrangler would look for one.
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_HIDE_BANNER: 'true',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      // Kept traces of every request grow by gigabytes during an import; set it to true to have them.
      X_LOCAL_OBSERVABILITY: process.env['X_LOCAL_OBSERVABILITY'] ?? 'false',
      NO_COLOR: '1',
    },
  });
  for (const stream of [owned.child.stdout, owned.child.stderr])
    stream?.on('data', (chunk: Buffer) => output.write(chunk));
  return owned;
}

/** What wrangler and the worker print. */
class WorkerOutput {
  readonly #log: NodeJS.WritableStream;
  #held = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string) {
    this.#log = createWriteStream(path, { flags: 'w' });
  }

  write(chunk: Buffer): void {
    this.#log.write(chunk);
    const text = chunk.toString('utf8');
    if (/"log\.level":"(warn|error)"/.test(text)) process.stderr.write(text);
    else if (/\[ERROR\]|✘/.test(text)) this.#hold(text);
  }

  /** Forgets what is held: its cause was told in better words. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#held = '';
  }

  /** Shows what is held. */
  release(): void {
    clearTimeout(this.#timer);
    process.stderr.write(this.#held);
    this.#held = '';
  }

  #hold(text: string): void {
    this.#held += text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.release(), HOLD_ERRORS_MS);
    this.#timer.unref();
  }
}

async function untilLive(port: number, instance: string, signal: AbortSignal): Promise<void> {
  const url = `http://${HOST}:${port}`;
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!signal.aborted) {
    const answerer = await whoAnswers(url);
    if (answerer.kind === 'instance' && answerer.instance === instance) return;
    // It was free a moment ago: another program has taken it since.
    if (answerer.kind === 'instance' || answerer.kind === 'millrace') await assertPortFree(port, '--port');
    if (performance.now() > deadline)
      throw new Error(`The worker does not answer at ${url} within ${START_TIMEOUT_MS / 1_000} s.`);
    await sleep(200);
  }
}
