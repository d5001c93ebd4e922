import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { Alerts, type AlertsPorts } from '../../durable-objects/alerts/object.ts';
import type { Recorded } from '../../durable-objects/alerts/records.ts';
import { DEFAULT_OBJECTIVES } from '../../src/define/objectives.ts';
import { watchRulesOf } from '../../src/operations/alerts/watch.ts';
import type { CounterSample } from '../../src/platform/counters.ts';

const MINUTE_MS = 60_000;
/** The begin of a minute that ends a bucket of each width. */
const NOON = Date.UTC(2026, 10, 30, 12);

/** Ports of a test: calls of a peer by outcome, and what is recorded. */
class Ports implements AlertsPorts {
  readonly rules = watchRulesOf(DEFAULT_OBJECTIVES, MINUTE_MS);
  ms = NOON;
  ok = 0;
  failed = 0;
  isDown = false;
  isDatabaseDown = false;
  readonly counted: [number, readonly CounterSample[]][] = [];
  readonly recorded: Recorded[] = [];

  readonly now = () => this.ms;
  readonly totals = async () => {
    if (this.isDown) throw new Error('down');
    const of = (outcome: string, value: number) => ({
      ...{ name: 'millrace_peer_calls_total', labels: { peer: 'database', outcome }, value },
    });
    return [of('ok', this.ok), of('failed', this.failed)];
  };
  readonly ages = async () => ({ clock: 1, outbox: 40_000, queue: undefined });
  readonly count = async (minute: number, samples: readonly CounterSample[]) => {
    this.counted.push([minute, samples]);
  };
  readonly record = async (entry: Recorded) => {
    if (this.isDatabaseDown) throw new Error('down');
    this.recorded.push(entry);
  };
}

/** An object with ports of the test, on the storage of the platform's. */
async function watching(name: string, ports: Ports, use: (object: Alerts) => Promise<void>): Promise<void> {
  await runInDurableObject(env.ALERTS.getByName(name), async (_, state) => {
    await use(new Alerts(state, env, ports));
  });
}

describe('the object that evaluates', () => {
  it('fires when a service fails, keeps its state over an eviction, and resolves', async () => {
    const ports = new Ports();
    const states: string[] = [];
    for (let minute = 0; minute < 20; minute += 1) {
      ports.ok += minute < 8 && minute >= 2 ? 0 : 10;
      ports.failed += minute < 8 && minute >= 2 ? 10 : 0;
      // A new object each minute: what it knows is on disk.
      ports.ms = NOON + minute * MINUTE_MS;
      await watching('fires', ports, async (object) => {
        await object.alarm();
        const [alert] = (await object.report()).alerts;
        states.push(alert?.state ?? 'none');
      });
    }
    expect(states.join(' ').split(/ (?=firing|resolved)/)[0]).toMatch(
      /^none none (none |pending )*(none|pending)$/,
    );
    expect(states.filter((state) => state === 'firing').length).toBeGreaterThan(5);
    expect(states.at(-1)).toBe('resolved');
    expect(ports.counted).toHaveLength(20);
    expect(ports.counted[0]?.[1]).toEqual([
      { name: 'millrace_stream_checks_total', labels: { result: 'kept_up', stage: 'clock' }, value: 1 },
      { name: 'millrace_stream_checks_total', labels: { result: 'behind', stage: 'outbox' }, value: 1 },
    ]);
  });

  it('evaluates a minute once, and sets its next alarm whatever fails', async () => {
    const ports = new Ports();
    ports.isDown = true;
    await runInDurableObject(env.ALERTS.getByName('alarm'), async (_, state) => {
      const object = new Alerts(state, env, ports);
      await object.alarm();
      ports.ms += 1_000;
      await object.alarm();
      expect(ports.counted).toHaveLength(1);
      expect(await state.storage.getAlarm()).toBe(NOON + MINUTE_MS);
      expect((await object.report()).isCounted).toBe(false);
    });
  });

  it('needs no database to be silenced: entries of the audit log wait for it', async () => {
    const ports = new Ports();
    ports.isDatabaseDown = true;
    const silence = {
      ...({
        kind: 'silence',
        author: 'key:a',
        comment: 'c',
        startsMs: NOON,
        endsMs: NOON + 3_600_000,
      } as const),
      matchers: [{ label: 'peer', is: '=', value: 'kafka' } as const],
    };
    await watching('silences', ports, async (object) => {
      const made = await object.silence(silence);
      expect(await object.silences('silence')).toEqual([made]);
      expect(await object.silences('maintenance')).toEqual([]);
      expect(await object.endSilence('maintenance', made?.id ?? '', 'key:b')).toBeNull();
      expect(await object.endSilence('silence', made?.id ?? '', 'key:b')).toMatchObject({ endsMs: NOON });
      for (const times of [
        { endsMs: NOON },
        { startsMs: NOON + 9e9, endsMs: NOON + 8e9 },
        { endsMs: NOON + 9e9 },
      ])
        expect(await object.silence({ ...silence, ...times })).toBeNull();
    });
    expect(ports.recorded).toEqual([]);
    ports.isDatabaseDown = false;
    ports.ms += MINUTE_MS;
    await watching('silences', ports, (object) => object.alarm());
    expect(ports.recorded.map(({ action, principal }) => [action, principal])).toEqual([
      ['silence.create', 'key:a'],
      ['silence.end', 'key:b'],
    ]);
  });

  it('is woken once, and then wakes itself', async () => {
    const stub = env.ALERTS.getByName('woken');
    await stub.wake();
    await stub.wake();
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    await evictDurableObject(stub);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect((await stub.report()).evaluatedMs).toBeGreaterThan(0);
  });
});
