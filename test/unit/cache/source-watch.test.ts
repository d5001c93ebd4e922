import { describe, expect, it } from 'vitest';
import { SourceWatch } from '../../../src/cache/clock/source-watch.ts';
import { OUTBOX } from '../../../src/cache/clock/sources.ts';

const BOUND_MS = 120_000;

/** A root whose time moves only where the test says so, and whose heartbeats end when the test says so. */
function world(everyMs?: number) {
  let nowMs = 1_000_000;
  const timers: { readonly atMs: number; readonly ring: () => void }[] = [];
  const beats: { readonly atMs: number; readonly end: (error?: Error) => Promise<void> }[] = [];
  const after = (ms: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    timers.push({ atMs: nowMs + ms, ring: resolve });
    return promise;
  };
  const time = {
    now: () => nowMs,
    withTimeout: async <T>(promise: Promise<T>, timeoutMs: number, onTimeout: () => Error): Promise<T> =>
      await Promise.race([promise, after(timeoutMs).then(() => Promise.reject(onTimeout()))]),
  };
  const heartbeat = async () => {
    const pass = watch.open(OUTBOX);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    beats.push({
      atMs: nowMs,
      end: async (error) => {
        if (error === undefined) resolve();
        else reject(error);
        await settle();
      },
    });
    await promise;
    watch.close(pass);
  };
  const watch = new SourceWatch(
    'i',
    time,
    heartbeat,
    everyMs === undefined ? undefined : { everyMs, sleep: after },
  );
  const sleepFor = async (ms: number) => {
    const untilMs = nowMs + ms;
    for (;;) {
      const next = timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      timers.splice(timers.indexOf(next), 1);
      nowMs = Math.max(nowMs, next.atMs);
      next.ring();
      await settle();
    }
    nowMs = untilMs;
  };
  /** A reader's sync; tells whether it has been answered. */
  const sync = async (boundMs = BOUND_MS) => {
    const reader = { isAnswered: false };
    void watch
      .refreshOlderThan(boundMs, () => undefined)
      .then(() => {
        reader.isAnswered = true;
      });
    await settle();
    return reader;
  };
  return { beats, sleepFor, sync };
}

/** Lets everything happen that waits for no time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

async function endAll(beats: { readonly end: (error?: Error) => Promise<void> }[]): Promise<void> {
  for (const beat of beats) await beat.end();
}

describe('a regular watch', () => {
  it('begins with a reader, who waits for the first heartbeat, and continues without further reads', async () => {
    const { beats, sleepFor, sync } = world(1_000);
    expect(beats).toEqual([]);
    const reader = await sync();
    expect(beats).toHaveLength(1);
    expect(reader.isAnswered).toBe(false);
    await beats[0]?.end();
    expect(reader.isAnswered).toBe(true);
    for (let look = 2; look <= 30; look += 1) {
      await sleepFor(1_000);
      expect(beats).toHaveLength(look);
      await beats.at(-1)?.end();
    }
    // A reader in between sets off nothing, and waits for nothing.
    await sleepFor(500);
    expect((await sync()).isAnswered).toBe(true);
    expect(beats).toHaveLength(30);
  });

  it('ends a minute after the last read, and begins again with the next reader, who waits', async () => {
    const { beats, sleepFor, sync } = world(1_000);
    await sync();
    await beats[0]?.end();
    for (let second = 1; second <= 70; second += 1) {
      await sleepFor(1_000);
      await endAll(beats);
    }
    expect(beats).toHaveLength(61);
    const next = await sync();
    expect(beats).toHaveLength(62);
    expect(next.isAnswered).toBe(false);
    await beats[61]?.end();
    expect(next.isAnswered).toBe(true);
  });

  it('keeps no reader waiting for longer than a moment, and never runs two heartbeats at once', async () => {
    const { beats, sleepFor, sync } = world(1_000);
    const first = await sync();
    const second = await sync();
    await sleepFor(199);
    expect([first.isAnswered, beats.length]).toEqual([false, 1]);
    await sleepFor(1);
    expect([first.isAnswered, second.isAnswered]).toEqual([true, true]);
    await sleepFor(20_000);
    expect(beats).toHaveLength(1);
    await beats[0]?.end();
    // The pause counts from the beginning of a look.
    await sleepFor(0);
    expect(beats).toHaveLength(2);
  });

  it('runs fewer heartbeats while the source is down, at least one in ten seconds, and recovers', async () => {
    const { beats, sleepFor, sync } = world(1_000);
    await sync();
    for (let second = 0; second < 55; second += 1) {
      for (const beat of beats) await beat.end(new Error('down'));
      await sleepFor(1_000);
    }
    const pauses = beats.slice(1).map(({ atMs }, index) => atMs - (beats[index]?.atMs ?? 0));
    expect(pauses.slice(0, 5)).toEqual([2_000, 4_000, 8_000, 10_000, 10_000]);
    await sleepFor(10_000);
    await beats.at(-1)?.end();
    const known = beats.length;
    await sync();
    await sleepFor(1_000);
    expect(beats).toHaveLength(known + 1);
  });
});

describe('without a watch', () => {
  it('only readers start a heartbeat', async () => {
    const { beats, sleepFor, sync } = world();
    await sync();
    await beats[0]?.end();
    await sleepFor(BOUND_MS / 2);
    expect((await sync()).isAnswered).toBe(true);
    expect(beats).toHaveLength(1);
    await sleepFor(1);
    await sync();
    expect(beats).toHaveLength(2);
  });
});
