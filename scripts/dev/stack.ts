import type { Catalog } from '../../src/define/catalog.ts';
import type { Project } from '../../src/define/project.ts';
import type { ClaimedFolder } from './claim-folder.ts';
import type { DevDatabase } from './database.ts';
import { fillOrRelay, openDatabase } from './database-of-state.ts';
import { type DevKafka, keepSourcesStarted, startDevKafka } from './kafka.ts';
import { ensureModels } from './model.ts';
import { queryOf } from './query.ts';
import { settle } from './ready.ts';
import { readyBlock } from './ready-block.ts';
import { hasEvents } from './seed.ts';
import { updateStateRecord } from './state/record.ts';
import { drainQueues, type Ending } from './stopping.ts';
import { trialsOf } from './trials.ts';
import { type DevWorker, startWorker } from './worker.ts';

export interface StackOptions {
  readonly port: number;
  /** Where the Kafka REST bridge listens; undefined without one. */
  readonly kafkaPort: number | undefined;
  readonly seed: boolean;
  readonly empty: boolean;
  readonly databaseUrl: string | undefined;
  readonly catalog: Catalog;
  readonly project: Project;
  readonly folder: ClaimedFolder;
  readonly ending: Ending;
  /** When the command was started, in milliseconds of `performance.now()`. */
  readonly startedAt: number;
}

/** Starts everything, and returns when it is asked to end and all that was started has ended. */
export async function runStack(options: StackOptions): Promise<void> {
  const { databaseUrl, folder, ending } = options;
  const { stateDir } = folder;
  const step = stepper();
  await using cleanup = new AsyncDisposableStack();
  const { database, isEmpty } = await openDatabase(stateDir, databaseUrl, options);
  cleanup.defer(() => database.close());
  step(
    databaseUrl === undefined
      ? 'Postgres (embedded) is up, migrated, and captures other writers'
      : 'Postgres (DATABASE_URL) is migrated and captures other writers',
  );
  const kafka = await kafkaOf(options);
  cleanup.defer(() => kafka?.stop());
  if (kafka) step('the Kafka REST bridge is up');

  const worker = await startWorker({
    port: options.port,
    stateDir,
    database,
    apiKeySha256: folder.apiKeySha256,
    instance: folder.instance,
    vars: kafka?.vars ?? {},
    onLaunch: (leader) => folder.lock.update({ worker: leader }),
    signal: ending.signal,
  });
  cleanup.defer(() => worker.stop());
  if (!ending.signal.aborted) step('the worker is up');
  await untilEnd(options, { database, isEmpty, kafka, worker }, step);
  await stopping(options, database);
  await cleanup.disposeAsync();
  console.log(`Stopped. The data is kept in ${stateDir}/.`);
}

interface Parts {
  readonly database: DevDatabase;
  readonly isEmpty: boolean;
  readonly kafka: DevKafka | undefined;
  readonly worker: DevWorker;
}

/** Makes the stack ready, and waits until it is to end. */
async function untilEnd(options: StackOptions, parts: Parts, step: (text: string) => void): Promise<void> {
  const { catalog, project, folder, ending } = options;
  const { database, kafka, worker } = parts;
  const { url, key, stateDir } = folder;
  const { signal } = ending;
  if (kafka) keepSourcesStarted(url, key, signal);
  const { areFeaturesNew, wasCutOff } = folder;
  const isExternal = options.databaseUrl !== undefined;
  const filling = { ...options, isExternal, isEmpty: parts.isEmpty, areFeaturesNew, wasCutOff };
  if (signal.aborted) return;
  const hasEvents = await fillOrRelay(database, stateDir, options, filling, step);
  // From here on a clean stop says what it left behind.
  updateStateRecord(stateDir, { isUndrained: true });
  if (signal.aborted) return;
  await ensureModels(catalog.models, project, { database, url, key, stateDir, hasEvents, signal }, step);
  if (signal.aborted) return;
  const areReady = await settle({ url, key });
  if (catalog.features.length > 0)
    step(areReady ? 'features are folded' : 'features are still being built: npm run cli -- features list');
  const trials = (await project.tryOut?.(queryOf(database))) ?? trialsOf(catalog, Date.now());
  const seconds = (performance.now() - options.startedAt) / 1_000;
  console.log(readyBlock({ url, key, isExternal, kafka, seconds }, catalog, trials));
  await Promise.race([worker.ended, aborted(signal)]);
}

/** Waits for the local queues, and notes for the next start what they held. */
async function stopping({ folder, ending }: StackOptions, database: DevDatabase): Promise<void> {
  console.log('\nStopping …');
  const { text, isComplete } = await drainQueues(folder, ending, (line) => console.log(line));
  if (text !== '') console.log(text);
  updateStateRecord(folder.stateDir, { isUndrained: !isComplete, hadEvents: await hasEvents(database) });
}

async function kafkaOf({ kafkaPort, folder }: StackOptions): Promise<DevKafka | undefined> {
  return kafkaPort === undefined
    ? undefined
    : await startDevKafka({ port: kafkaPort, stateDir: folder.stateDir });
}

/** Steps shorter than this show no time. */
const SHOWN_S_MIN = 1;

/** Prints what was done, with the seconds since the step before. */
function stepper(): (text: string) => void {
  let before = performance.now();
  return (text) => {
    const seconds = (performance.now() - before) / 1_000;
    before = performance.now();
    console.log(`  ${text}${seconds < SHOWN_S_MIN ? '' : ` (${seconds.toFixed(1)} s)`}`);
  };
}

async function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  if (!signal.aborted) await promise;
}
