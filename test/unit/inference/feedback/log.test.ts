import { describe, expect, it, vi } from 'vitest';
import {
  FILE_ANSWERS_MAX,
  ServedLog,
  type ServedLogPorts,
  WAITING_MAX,
} from '../../../../src/inference/feedback/buffer.ts';
import { featuresText, linesOf, recordOf, recordsIn } from '../../../../src/inference/feedback/record.ts';
import { answerOf, recordWith } from '../../../support/feedback/answers.ts';

/** An isolate whose pauses end on command. */
class Isolate {
  now = 0;
  readonly log = new ServedLog();
  readonly files: string[] = [];
  readonly counted = { logged: 0, lost: 0 };
  isAway = false;
  #pauses: (() => void)[] = [];
  #kept: Promise<unknown>[] = [];

  readonly ports: ServedLogPorts = {
    now: () => this.now,
    pause: () => new Promise((resolve) => this.#pauses.push(resolve)),
    keepAlive: (work) => void this.#kept.push(work),
    put: async (_, text) => {
      if (this.isAway) throw new Error('R2 does not answer.');
      this.files.push(text);
    },
    counted: (outcome, by) => {
      this.counted[outcome] += by;
    },
  };

  answer(times: number): void {
    for (let at = 0; at < times; at += 1) this.log.add(answerOf({ id: `p-${at}` }), this.ports);
  }

  async elapse(): Promise<void> {
    for (const end of this.#pauses.splice(0)) end();
    await Promise.all(this.#kept.splice(0));
  }
}

describe('the log of an isolate', () => {
  it('writes one file for the answers of a pause, and nothing without an answer', async () => {
    const isolate = new Isolate();
    isolate.answer(100);
    expect(isolate.files).toEqual([]);
    await isolate.elapse();
    await isolate.elapse();
    expect(isolate.files).toHaveLength(1);
    expect(recordsIn(isolate.files[0] ?? '')).toHaveLength(100);
    isolate.answer(1);
    await isolate.elapse();
    expect(isolate.files).toHaveLength(2);
    expect(isolate.counted).toEqual({ logged: 101, lost: 0 });
  });

  it('writes a full file at once, so puts follow the answers by a stated share', async () => {
    const isolate = new Isolate();
    for (let file = 0; file < 4; file += 1) {
      isolate.answer(FILE_ANSWERS_MAX);
      await vi.waitUntil(() => isolate.files.length === file + 1);
      // The writer's promise has ended too.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await isolate.elapse();
    expect(isolate.files.map((file) => recordsIn(file).length)).toEqual([500, 500, 500, 500]);
  });

  it('keeps a bounded number of answers while R2 is away, and counts what is lost', async () => {
    const isolate = new Isolate();
    isolate.isAway = true;
    // The first file is being written, and as many wait as may.
    isolate.answer(FILE_ANSWERS_MAX + WAITING_MAX + 7);
    expect(isolate.counted.lost).toBe(7);
    await isolate.elapse();
    expect(isolate.counted).toEqual({ logged: 0, lost: FILE_ANSWERS_MAX + WAITING_MAX + 7 });
  });

  it('goes on after a writer that ended with its request', async () => {
    const isolate = new Isolate();
    isolate.answer(1);
    isolate.now += 59_000;
    isolate.answer(1);
    // The first pause never ends: its request is gone.
    const kept: Promise<unknown>[] = [];
    const ports = {
      ...isolate.ports,
      pause: async () => undefined,
      keepAlive: (work: Promise<unknown>) => void kept.push(work),
    };
    isolate.log.add(answerOf(), ports);
    expect(kept).toHaveLength(0);
    isolate.now += 2_000;
    isolate.log.add(answerOf(), ports);
    await Promise.all(kept);
    expect(recordsIn(isolate.files.join(''))).toHaveLength(4);
  });
});

describe('a line of the log', () => {
  it('is read as it was written, and a broken line is left out', async () => {
    const record = await recordOf(
      answerOf({ features: { purchases: { value: 3, status: 'PRESENT', eventAt: 900 } } }),
    );
    expect(record).toMatchObject({
      items: [
        ['a', 2],
        ['b', 1],
      ],
      features: { newestEventAt: 900 },
    });
    const text = linesOf([record, recordWith({ id: 'p-2' })]);
    expect(recordsIn(text)).toEqual([record, recordWith({ id: 'p-2' })]);
    expect(recordsIn(`${text.slice(0, -20)}\n{"format":2}\n`)).toEqual([record]);
  });

  it('has a digest of the values by name, whatever the order of the features', () => {
    const [a, b] = [
      { value: 1, status: 'PRESENT', eventAt: 5 },
      { value: null, status: 'NOT_FOUND', eventAt: null },
    ] as const;
    expect(featuresText({ a, b })).toBe(featuresText({ b, a }));
    expect(featuresText({ a, b })).not.toBe(featuresText({ a, b: { ...b, value: 0 } }));
  });
});
