import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CHECK_MS, type DiagnosisSources, diagnose } from '../../../src/operations/diagnosis.ts';
import * as judge from '../../../src/operations/diagnosis-rules.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { MIGRATIONS } from '../../../src/storage/postgres/migrations.ts';

const TABLE = { table: '"a"', functionName: 'capture public.a', body: 'x', triggers: ['one', 'two'] };
const NOW = Date.parse('2026-11-29T00:00:00Z');

const well: DiagnosisSources = {
  now: () => Date.now(),
  withTimeout,
  settings: {
    ...{ bindings: 19, set: ['DATABASE_URL'], unset: ['KAFKA_REST_URL'], isLocal: false, isLimiting: true },
    ...{ knownMigrations: [{ tag: '0000_a', when: 1 }], expected: [TABLE], outboxWatchMs: 500 },
  },
  database: {
    server: async () => ({ version: '15.4', atMs: Date.now() }),
    ping: async () => undefined,
    migrations: async () => [1],
    missingColumns: async () => [],
    triggers: async () => [TABLE],
    waiting: async () => ({ pending: 0, oldestS: null, quarantined: 0, deadLetters: 0 }),
  },
  relay: async () => ({ startedAtMs: 0, cronAtMs: Date.now(), alarmAtMs: null, failures: 0 }),
  clock: async () => ({ seq: 3, outboxAgeMs: 10 }),
  queues: async () => ({ EVENTS: { items: 0 } }),
  kv: async () => undefined,
  artifacts: async () => undefined,
  kafka: async () => [],
};

const hangs = () => new Promise<never>(() => undefined);
const unsound = async (ports: DiagnosisSources) =>
  (await diagnose(ports))
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ name, verdict }) => [name, verdict]);

afterEach(() => vi.useRealTimers());

describe('a diagnosis', () => {
  it('finds nothing where all is well, and every fault has advice', async () => {
    expect(await unsound(well)).toEqual([]);
    const refused = async () => {
      throw new Failure('database_unavailable', 'away', { retryAfterS: 1 });
    };
    const found = await diagnose({ ...well, kv: refused, artifacts: refused, queues: refused });
    const faulty = found.filter(({ verdict }) => verdict === 'fail');
    expect(faulty.map(({ name, detail }) => [name, detail])).toEqual([
      ['queues', 'away'],
      ['KV', 'away'],
      ['R2', 'away'],
    ]);
    for (const { advice } of faulty) expect(advice).toMatch(/\.$/);
  });

  it('ends within two deadlines while everything hangs, with a line for each part', async () => {
    vi.useFakeTimers();
    const database = Object.fromEntries(Object.keys(well.database).map((name) => [name, hangs]));
    const { now, withTimeout: within, settings } = well;
    const peers = { relay: hangs, clock: hangs, queues: hangs, kv: hangs, artifacts: hangs, kafka: hangs };
    const asked = diagnose({
      ...{ now, withTimeout: within, settings, ...peers },
      database: { ...well.database, ...database },
    });
    await vi.advanceTimersByTimeAsync(2 * CHECK_MS);
    const found = await asked;
    const late = found.filter(({ detail }) => detail.startsWith('No answer within')).map(({ name }) => name);
    expect(late.sort()).toEqual(['KV', 'Kafka', 'R2', 'clock', 'cron', 'database', 'queues', 'relay']);
    const skipped = found.filter(({ detail }) => detail.startsWith('not checked')).map(({ name }) => name);
    expect(skipped).toEqual(judge.NEEDS_DATABASE);
  });

  it('ends within two deadlines while a single statement hangs', async () => {
    vi.useFakeTimers();
    const asked = unsound({ ...well, database: { ...well.database, triggers: hangs } });
    await vi.advanceTimersByTimeAsync(2 * CHECK_MS);
    expect(await asked).toEqual([['capture', 'fail']]);
  });

  it('does not repeat the message of an error that may have a secret', async () => {
    const leaky = async () => {
      throw new Error('postgres://user:password@host');
    };
    const found = await diagnose({
      ...well,
      artifacts: leaky,
      database: { ...well.database, server: leaky },
    });
    expect(JSON.stringify(found)).not.toContain('password');
    expect(JSON.stringify(found)).toContain('the log of the worker has the error');
  });
});

describe('the rules', () => {
  const verdictOf = (check: judge.Check | judge.Check[]) => [check].flat().map(({ verdict }) => verdict);

  it('tell missing from unknown migrations', () => {
    const knownMigrations = [1, 2].map((when) => ({ tag: `m${when}`, when }));
    expect(judge.migrations([1, 2], { knownMigrations }).verdict).toBe('ok');
    expect(judge.migrations([1], { knownMigrations })).toMatchObject({
      verdict: 'fail',
      detail: '1 of 2 are not applied: m2',
    });
    expect(judge.migrations([1, 2, 3], { knownMigrations }).verdict).toBe('warn');
    expect(judge.failed('migrations', 'x', '42P01').advice).toContain('db:migrate');
  });

  it('find triggers that are missing, disabled or of another version, unless nobody else writes', () => {
    const of = (installed: judge.TriggerFacts['installed'], outboxWatchMs = 500) =>
      judge.capture({ installed, expected: [TABLE], outboxWatchMs }).verdict;
    expect(of([TABLE])).toBe('ok');
    expect(of([])).toBe('fail');
    expect(of([{ ...TABLE, triggers: ['one'] }])).toBe('fail');
    expect(of([{ ...TABLE, body: 'y' }])).toBe('fail');
    expect(of([], 0)).toBe('ok');
  });

  it('judge the outbox by the age of its oldest change, and dead letters by their number', () => {
    const waiting = { pending: 5, oldestS: 1, quarantined: 0, deadLetters: 0 };
    expect(verdictOf(judge.waiting(waiting))).toEqual(['ok', 'ok', 'ok']);
    expect(verdictOf(judge.waiting({ ...waiting, oldestS: 60, quarantined: 1 }))).toEqual([
      'warn',
      'warn',
      'ok',
    ]);
    expect(verdictOf(judge.waiting({ ...waiting, oldestS: 900, deadLetters: 1 }))).toEqual([
      'fail',
      'ok',
      'fail',
    ]);
  });

  it('judge the cron by its last run, and by the start of the relay where it has not run', () => {
    const relay = { startedAtMs: NOW - 60_000, cronAtMs: null, alarmAtMs: null, failures: 0 };
    expect(judge.cron(relay, true, NOW).verdict).toBe('ok');
    expect(judge.cron(relay, false, NOW).verdict).toBe('warn');
    expect(judge.cron({ ...relay, startedAtMs: NOW - 600_000 }, false, NOW).verdict).toBe('fail');
    expect(judge.cron({ ...relay, cronAtMs: NOW - 60_000 }, false, NOW).verdict).toBe('ok');
    expect(judge.cron({ ...relay, cronAtMs: NOW - 600_000 }, false, NOW).verdict).toBe('fail');
    expect(judge.relay({ ...relay, failures: 2 }, NOW).verdict).toBe('fail');
  });

  it('judge latency, clocks, queues and Kafka', () => {
    const server = { version: '15', atMs: NOW };
    const at = (over: Partial<judge.DatabaseFacts>) =>
      verdictOf(judge.database({ server, atMs: NOW, tookMs: [1, 2, 300], ...over }));
    expect(at({})).toEqual(['ok', 'ok', 'ok']);
    expect(at({ tookMs: [1, 200, 300] })).toEqual(['ok', 'warn', 'ok']);
    expect(at({ atMs: NOW - 5_000 })).toEqual(['ok', 'ok', 'warn']);
    expect(judge.clock({ seq: 1, outboxAgeMs: undefined }).verdict).toBe('warn');
    expect(judge.clock({ seq: 1, outboxAgeMs: 600_000 }).verdict).toBe('fail');
    const queue = { items: 3, oldestAtMs: NOW - 1_000 };
    expect(judge.queues({ EVENTS: queue }, NOW).verdict).toBe('ok');
    expect(judge.queues({ EVENTS: { ...queue, oldestAtMs: NOW - 900_000 } }, NOW).verdict).toBe('warn');
    expect(judge.queues({ EVENTS: queue, SINK: undefined }, NOW).verdict).toBe('warn');
    expect(judge.queues({ EVENTS: undefined }, NOW).verdict).toBe('warn');
    const partition = { topic: 't', partition: 0, lag: 4, lastError: null };
    expect(judge.kafka([partition]).verdict).toBe('ok');
    expect(judge.kafka([{ ...partition, lastError: 'x' }]).detail).toBe(
      '1 partitions, 4 records behind; failing: t/0',
    );
  });

  it('know the migrations of this version', () => {
    const { entries } = JSON.parse(readFileSync('migrations/meta/_journal.json', 'utf8'));
    expect(MIGRATIONS).toEqual(
      entries.map(({ tag, when }: { tag: string; when: number }) => ({ tag, when })),
    );
  });
});
