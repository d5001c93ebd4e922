import { env, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { WAITING_MAX } from '../../durable-objects/alerts/deliveries.ts';
import { Alerts, type AlertsPorts } from '../../durable-objects/alerts/object.ts';
import type { Recorded } from '../../durable-objects/alerts/records.ts';
import { DEFAULT_OBJECTIVES } from '../../src/define/objectives.ts';
import type { Notice } from '../../src/operations/alerts/notices.ts';
import { parseTargets, type Target } from '../../src/operations/alerts/targets.ts';
import { watchRulesOf } from '../../src/operations/alerts/watch.ts';
import type { CounterSample } from '../../src/platform/counters.ts';

const MINUTE_MS = 60_000;
/** The begin of a minute that ends a bucket of each width. */
/** In the future: the platform sets no alarm in the past. */
const NOON = Date.UTC(2040, 10, 30, 12);

const TARGETS = parseTargets(
  JSON.stringify(
    ['one', 'two'].map((name) => ({ name, kind: 'slack', url: `https://${name}.example.com/x` })),
  ),
  false,
);

/** Ports of a test: calls of a peer by outcome, and what is recorded. */
class Ports implements AlertsPorts {
  readonly rules = watchRulesOf(DEFAULT_OBJECTIVES, MINUTE_MS);
  readonly random = () => 0.5;
  release: string | undefined = 'v1';
  /** Why each target refuses; a target that is not in it takes everything. */
  readonly refusals = new Map<string, string>();
  readonly sent: [string, string, Notice][] = [];
  audited: ReturnType<AlertsPorts['changes']> = Promise.resolve([]);

  readonly targets = () => TARGETS;
  readonly send = async ({ name }: Target, id: string, notice: Notice) => {
    const refusal = this.refusals.get(name);
    if (refusal === undefined) this.sent.push([name, id, notice]);
    return refusal ?? null;
  };
  readonly changes = () => this.audited;
  ms = NOON;
  ok = 0;
  failed = 0;
  /** Failed and all requests. */
  requests = (): readonly [bad: number, all: number] => [0, 0];
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
    const [bad, all] = this.requests();
    const requests = (status: string, value: number) => ({
      name: 'millrace_http_requests_total',
      labels: { method: 'GET', route: '/v1/products', status },
      value,
    });
    return [of('ok', this.ok), of('failed', this.failed), requests('500', bad), requests('200', all - bad)];
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

  it('warns once of a budget that will burn, over evictions', async () => {
    const ports = new Ports();
    let [bad, all] = [0, 0];
    ports.requests = () => [bad, all];
    for (let quarter = 0; quarter < 40; quarter += 1) {
      all += 100_000;
      // Of the 14.4 times that the budget of 0.1 % may burn, a part that rises steadily.
      bad += Math.min(80, 2 * quarter);
      ports.ms = NOON + quarter * 15 * MINUTE_MS;
      await watching('warns', ports, async (object) => await object.alarm());
    }
    const warned = ports.sent.filter(([target, , { type }]) => target === 'one' && type === 'warning.found');
    expect(warned.map(([, , { data }]) => data.warning?.labels)).toEqual([{ objective: 'availability' }]);
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
});

describe('notices', () => {
  /** Runs the alarm at each moment at which it is set, until a time. */
  async function runUntil(name: string, ports: Ports, endMs: number): Promise<void> {
    await runInDurableObject(env.ALERTS.getByName(name), async (_, state) => {
      const object = new Alerts(state, env, ports);
      while (ports.ms <= endMs) {
        await object.alarm();
        ports.ms = Math.max(ports.ms + 1, (await state.storage.getAlarm()) ?? endMs + 1);
      }
    });
  }
  const types = (ports: Ports, target: string) =>
    ports.sent.filter(([name]) => name === target).map(([, , { type }]) => type);

  it('survive a receiver that is down for ten minutes: once, in their order, and without delay for another', async () => {
    const ports = new Ports();
    ports.refusals.set('one', 'It answered 503.');
    const open = (title: string) => ({ title, severity: 'page', text: '' }) as const;
    await watching('down', ports, async (object) => {
      await object.openIncident(open('first'), 'key:a');
      await object.openIncident(open('second'), 'key:a');
      await object.actOnIncident(1, { do: 'acknowledge' }, 'key:b');
    });
    await runUntil('down', ports, NOON + 10 * MINUTE_MS);
    expect(types(ports, 'one')).toEqual([]);
    expect(types(ports, 'two')).toEqual(['incident.opened', 'incident.opened', 'incident.acknowledged']);
    await watching('down', ports, async (object) => {
      expect((await object.report()).targets).toMatchObject([
        { name: 'one', waiting: 3, lastError: 'It answered 503.', dropped: 0 },
        { name: 'two', waiting: 0, lastError: null },
      ]);
    });
    ports.refusals.clear();
    await runUntil('down', ports, NOON + 26 * MINUTE_MS);
    expect(types(ports, 'one')).toEqual(['incident.opened', 'incident.opened', 'incident.acknowledged']);
    const ids = (target: string) => ports.sent.filter(([name]) => name === target).map(([, id]) => id);
    expect(ids('one')).toEqual(ids('two'));
  });

  it('are given up after a day, and say so', async () => {
    const ports = new Ports();
    ports.refusals.set('one', 'It did not answer within 10000 ms.');
    await watching('day', ports, async (object) => void (await object.test('key:a')));
    await runInDurableObject(env.ALERTS.getByName('day'), async (_, state) => {
      const object = new Alerts(state, env, ports);
      for (let hour = 0; hour < 26; hour += 1) {
        ports.ms += 3_600_000;
        await object.alarm();
      }
      expect((await object.report()).targets).toMatchObject([{ waiting: 0, dropped: 1 }, { dropped: 0 }]);
    });
  });

  it('are sent of an alert and its incident, which ends with it and has what happened', async () => {
    const ports = new Ports();
    const entry = { by: 'key:c', kind: 'model', text: 'model.publish of ranker' } as const;
    ports.audited = Promise.resolve([{ ...entry, key: 'audit/1', atMs: NOON - MINUTE_MS }]);
    await runInDurableObject(env.ALERTS.getByName('incident'), async (_, state) => {
      for (let minute = 0; minute < 20; minute += 1) {
        const isDead = minute >= 2 && minute < 8;
        ports.ok += isDead ? 0 : 10;
        ports.failed += isDead ? 10 : 0;
        ports.ms = NOON + minute * MINUTE_MS;
        ports.release = minute < 6 ? 'v1' : 'v2';
        await new Alerts(state, env, ports).alarm();
      }
      const object = new Alerts(state, env, ports);
      expect(types(ports, 'one')).toEqual([
        ...['alert.firing', 'incident.opened', 'alert.resolved', 'incident.resolved'],
      ]);
      const [incident] = await object.incidents({ limit: 5 });
      expect(incident).toMatchObject({ state: 'resolved', cause: 'database', openedBy: 'system:alerts' });
      expect(Object.keys(incident?.impact ?? {})).toContain('availability');
      const timeline = (await object.incident(incident?.id ?? 0))?.timeline ?? [];
      expect(timeline.map(({ kind }) => kind)).toEqual(['model', 'alert', 'deploy', 'alert']);
    });
  });

  it('wait within bounds: the oldest is given up', async () => {
    const ports = new Ports();
    ports.refusals.set('one', 'no').set('two', 'no');
    await watching('bounded', ports, async (object) => {
      for (let count = 0; count < WAITING_MAX + 2; count += 1) await object.test('key:a');
      expect((await object.report()).targets).toMatchObject([
        { waiting: WAITING_MAX, dropped: 2 },
        { waiting: WAITING_MAX, dropped: 2 },
      ]);
    });
  });
});

it('lists incidents page by page, the newest first, and by state', async () => {
  const ports = new Ports();
  await watching('pages', ports, async (object) => {
    for (const title of ['a', 'b', 'c', 'd', 'e'])
      await object.openIncident({ title, severity: 'ticket', text: '' }, 'key:a');
    await object.actOnIncident(2, { do: 'resolve', text: '' }, 'key:a');
    const ids = async (filter: Parameters<Alerts['incidents']>[0]) =>
      (await object.incidents(filter)).map(({ id }) => id);
    expect(await ids({ limit: 2 })).toEqual([5, 4]);
    expect(await ids({ limit: 2, before: 4 })).toEqual([3, 2]);
    expect(await ids({ limit: 2, before: 2 })).toEqual([1]);
    expect(await ids({ limit: 9, state: 'open' })).toEqual([5, 4, 3, 1]);
    expect(await object.actOnIncident(9, { do: 'acknowledge' }, 'key:a')).toBeNull();
  });
});
