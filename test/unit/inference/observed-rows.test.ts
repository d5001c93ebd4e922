import { describe, expect, it } from 'vitest';
import {
  OBSERVED_ROWS_MAX,
  type ObservedRows,
  ObservedRowsOfIsolate,
} from '../../../src/inference/observed-rows.ts';

/** An isolate whose pauses end when the test says so. */
function isolate(isWatched: () => boolean | Error = () => true) {
  const rows = new ObservedRowsOfIsolate();
  const sent: (ObservedRows & { model: string })[] = [];
  const time = { now: 0 };
  let made = 0;
  let pauses: (() => void)[] = [];
  const work: Promise<unknown>[] = [];
  const ports = {
    now: () => time.now,
    keepAlive: (kept: Promise<unknown>) => void work.push(kept),
    pause: () => new Promise<void>((resolve) => void pauses.push(resolve)),
    send: async (model: string, of: ObservedRows) => {
      sent.push({ model, ...of });
      const watched = isWatched();
      if (watched instanceof Error) throw watched;
      return watched;
    },
  };
  return {
    ...{ sent, time },
    made: () => made,
    saw: (value: number, version = 'v1', model = 'm') =>
      rows.saw(
        model,
        version,
        () => {
          made += 1;
          return { columns: ['x', 'y'], values: [value, 2 * value] };
        },
        ports,
      ),
    flush: async () => {
      for (const end of pauses) end();
      pauses = [];
      await Promise.all(work.splice(0));
    },
  };
}

describe('the rows that an isolate answered', () => {
  it('are sent together, by version, and once', async () => {
    const { saw, flush, sent } = isolate();
    saw(1);
    saw(2);
    saw(3, 'v2');
    await flush();
    expect(sent).toEqual([
      {
        model: 'm',
        version: 'v1',
        columns: ['x', 'y'],
        rows: [
          [1, 2],
          [2, 4],
        ],
      },
      { model: 'm', version: 'v2', columns: ['x', 'y'], rows: [[3, 6]] },
    ]);
    await flush();
    expect(sent).toHaveLength(2);
    saw(4);
    await flush();
    expect(sent).toHaveLength(3);
  });

  it('are bounded: those beyond are not even made', async () => {
    const { saw, flush, sent, made } = isolate();
    for (let at = 0; at < OBSERVED_ROWS_MAX + 50; at += 1) saw(at);
    await flush();
    expect([sent[0]?.rows.length, made()]).toEqual([OBSERVED_ROWS_MAX, OBSERVED_ROWS_MAX]);
  });

  it.each([
    ['nobody watches', false],
    ['cannot be sent', new Error('hangs')],
  ])('of a version that %s are not collected for a minute', async (_, watched) => {
    const { saw, flush, sent, time, made } = isolate(() => watched);
    saw(1);
    await flush();
    time.now = 59_000;
    saw(2);
    saw(3, 'v2');
    await flush();
    expect(sent.map(({ version }) => version)).toEqual(['v1', 'v2']);
    expect(made()).toBe(2);
    time.now = 61_000;
    saw(4);
    await flush();
    expect(sent).toHaveLength(3);
  });

  it('do not wait for a sending that was lost with its request', async () => {
    const { saw, flush, sent, time } = isolate();
    saw(1);
    time.now = 20_000;
    saw(2);
    await flush();
    expect(sent.flatMap(({ rows }) => rows)).toEqual([
      [1, 2],
      [2, 4],
    ]);
  });
});
