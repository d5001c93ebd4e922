import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { PeerTimeout } from '../platform/peer.ts';
import { sqlState } from '../storage/postgres/connect.ts';
import type { Check } from './diagnosis-rules.ts';
import * as judge from './diagnosis-rules.ts';

/** Reads one fact. It may hang. */
type Reads<T> = () => Promise<T>;

/** What a diagnosis asks. Each part of the database is one statement. */
export interface DiagnosisSources {
  readonly now: () => number;
  readonly withTimeout: <T>(promise: Promise<T>, timeoutMs: number, onTimeout: () => Error) => Promise<T>;
  readonly settings: judge.Settings;
  readonly database: {
    readonly server: Reads<judge.DatabaseFacts['server']>;
    readonly ping: Reads<unknown>;
    readonly migrations: Reads<readonly number[]>;
    readonly missingColumns: Reads<judge.MissingColumns>;
    readonly triggers: Reads<judge.TriggerFacts['installed']>;
    readonly waiting: Reads<judge.WaitingFacts>;
  };
  readonly relay: Reads<judge.RelayFacts>;
  readonly clock: Reads<judge.ClockFacts>;
  readonly queues: Reads<judge.QueueFacts>;
  readonly kv: Reads<unknown>;
  readonly artifacts: Reads<unknown>;
  /** Undefined where Kafka is not configured. */
  readonly kafka: Reads<judge.KafkaFacts> | undefined;
}

/** How long one check may take, in milliseconds. Those of the database wait for its latency first, so two follow each other. */
export const CHECK_MS = 900;
/** Round trips of which the median counts, after one that may open a connection. */
const ROUNDS = 5;

/**
 * Examines a deployment. All checks run at once and each has a deadline, so the answer comes within twice `CHECK_MS`
 * whatever hangs.
 */
export async function diagnose(ports: DiagnosisSources): Promise<Check[]> {
  const checks = await Promise.all([
    [judge.settings(ports.settings)].flat(),
    databaseChecks(ports),
    checked(ports, 'clock', ports.clock, judge.clock),
    checked(ports, 'relay', ports.relay, (relay) => judge.relay(relay, ports.now())),
    checked(ports, 'cron', ports.relay, (relay) => judge.cron(relay, ports.settings.isLocal, ports.now())),
    checked(ports, 'queues', ports.queues, (queues) => judge.queues(queues, ports.now())),
    checked(ports, 'KV', ports.kv, () => judge.answers('KV')),
    checked(ports, 'R2', ports.artifacts, () => judge.answers('R2')),
    ports.kafka === undefined ? [] : checked(ports, 'Kafka', ports.kafka, judge.kafka),
  ]);
  return checks.flat();
}

async function databaseChecks(ports: DiagnosisSources): Promise<Check[]> {
  const { database, settings } = ports;
  const reached = await checked(ports, 'database', async () => await measure(ports), judge.database);
  if (reached.some(({ verdict }) => verdict === 'fail'))
    return [...reached, ...judge.NEEDS_DATABASE.map(judge.notChecked)];
  const rest = await Promise.all([
    checked(ports, 'migrations', database.migrations, (applied) => judge.migrations(applied, settings)),
    checked(ports, 'tables', database.missingColumns, judge.tables),
    checked(ports, 'capture', database.triggers, (installed) => judge.capture({ installed, ...settings })),
    checked(ports, 'outbox', database.waiting, judge.waiting),
  ]);
  return [...reached, ...rest.flat()];
}

async function measure({ database, now }: DiagnosisSources): Promise<judge.DatabaseFacts> {
  const server = await database.server();
  const atMs = now();
  const tookMs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAt = now();
    await database.ping();
    tookMs.push(now() - startedAt);
  }
  return { server, atMs, tookMs };
}

/** A check that could not be made is a failure, and says why. */
async function checked<Fact>(
  { withTimeout }: DiagnosisSources,
  name: string,
  read: Reads<Fact>,
  rule: (fact: Fact) => Check | Check[],
): Promise<Check[]> {
  try {
    const late = () => new TookTooLong(`No answer within ${CHECK_MS} ms.`);
    return [rule(await withTimeout(read(), CHECK_MS, late))].flat();
  } catch (error) {
    log(
      'warn',
      'A check of the diagnosis failed.',
      { 'event.action': 'diagnosis', 'event.reason': name },
      error,
    );
    return [judge.failed(name, reasonOf(error), sqlState(error))];
  }
}

/** A part did not answer in time. */
export class TookTooLong extends Error {}

/** Why a check could not be made. The message of any other error stays in the log: it may have what a caller may not see. */
export function reasonOf(error: unknown): string {
  if (error instanceof Failure || error instanceof TookTooLong || error instanceof PeerTimeout)
    return error.message;
  const state = sqlState(error);
  if (state !== undefined) return `The database refused it with the SQLSTATE ${state}.`;
  return 'It failed; the log of the worker has the error.';
}
