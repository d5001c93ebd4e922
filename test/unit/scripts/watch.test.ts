import { describe, expect, it } from 'vitest';
import { burning, type WatchPorts } from '../../../scripts/cli/watch.ts';

type Report = Awaited<ReturnType<WatchPorts['report']>>;
type Alert = Report['alerts'][number];

const at = (ms: number) => new Date(ms).toISOString();

function alert(firedMs: number, over: Partial<Alert> = {}): Alert {
  return {
    ...{ id: 'a', alertname: 'AvailabilityBurns', labels: { objective: 'availability' }, severity: 'page' },
    ...{
      state: 'firing',
      since: at(0),
      firedAt: at(firedMs),
      resolvedAt: null,
      summary: 'Availability burns.',
    },
    ...{ description: '', runbook: '', inhibitedBy: null, silencedBy: null, isNotified: true, times: 1 },
    ...over,
  };
}

const MINUTE = 60_000;
/** Ten minutes that begin one minute after the epoch. */
const WATCHED = { sinceMs: MINUTE, untilMs: 11 * MINUTE };

/** A worker whose report depends on the time alone; undefined where it does not answer. */
function world(reportAt: (now: number) => Report | undefined) {
  let now = WATCHED.sinceMs;
  return {
    now: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
    report: async () => {
      const report = reportAt(now);
      if (report === undefined) throw new Error('no answer');
      return report;
    },
  };
}

function evaluated(now: number, ...alerts: Alert[]): Report {
  return { evaluatedAt: at(now), alerts };
}

describe('a watch', () => {
  it('ends when its time is over and nothing burns', async () => {
    const ports = world((now) => evaluated(now));
    expect(await burning(ports, WATCHED)).toBeUndefined();
    expect(ports.now()).toBe(WATCHED.untilMs);
  });

  it('ends at once when an objective burns', async () => {
    const ports = world((now) => evaluated(now, ...(now < 3 * MINUTE ? [] : [alert(3 * MINUTE)])));
    expect(await burning(ports, WATCHED)).toBe('Availability burns.');
    expect(ports.now()).toBe(3 * MINUTE);
  });

  it.each([
    ['began before', alert(0)],
    ['is pending', alert(2 * MINUTE, { state: 'pending' })],
    ['is over', alert(2 * MINUTE, { state: 'resolved' })],
    ['is a ticket', alert(2 * MINUTE, { severity: 'ticket' })],
    ['is about a peer', alert(2 * MINUTE, { labels: { peer: 'kafka' } })],
  ])('does not end for an alert that %s', async (_, other) => {
    expect(
      await burning(
        world((now) => evaluated(now, other)),
        WATCHED,
      ),
    ).toBeUndefined();
  });

  it('bears two minutes without an answer, and no more', async () => {
    const away = (untilMs: number) =>
      world((now) => (now > 2 * MINUTE && now < untilMs ? undefined : evaluated(now)));
    expect(await burning(away(3.9 * MINUTE), WATCHED)).toBeUndefined();
    const ports = away(10 * MINUTE);
    expect(await burning(ports, WATCHED)).toBe('The alerts cannot be read: no answer');
    expect(ports.now()).toBe(4 * MINUTE);
  });

  it('does not say that all is well where the rules were not evaluated', async () => {
    const never = world(() => ({ evaluatedAt: null, alerts: [] }));
    expect(await burning(never, WATCHED)).toContain('not evaluated');
    const before = world(() => evaluated(0));
    expect(await burning(before, WATCHED)).toContain('not evaluated');
  });
});
