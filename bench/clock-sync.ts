/**
 * What a sync of the tag clock weighs, and how long its rules take: `npm run bench:clock`. Bytes are those of
 * Node's structured clone (`v8.serialize`), a stand-in for that of a call to a Durable Object: workerd uses the
 * same serializer of V8, and adds an envelope of its own that is not counted here.
 */
import { serialize } from 'node:v8';
import { type Clock, newClock, raise } from '../src/cache/clock/clock.ts';
import { applyDelta, encodeDelta } from '../src/cache/clock/delta.ts';
import type { SyncAnswer, SyncRequest } from '../src/cache/clock/mirror.ts';
import { SLOT_COUNT } from '../src/cache/clock/slots.ts';
import { decodeAnswer, encodeAnswer } from '../src/cache/clock/wire.ts';
import { seededRandom } from '../src/platform/random.ts';
import { median } from './support/load.ts';

const EPOCH = '0b8f62c4-8f0e-4a57-9a53-1e1f3a6f7d11';
const SEQ = 1_000_000;
const RUNS = 60;
const SEED = 7;

const random = seededRandom(SEED);
const row = (...cells: (string | number)[]) =>
  console.log(cells.map((cell, index) => String(cell).padStart(index === 0 ? -1 : 14)).join(''));
const title = (text: string, ...columns: string[]) => {
  console.log('');
  row(text.padEnd(58), ...columns);
};

/** A clock at `seq` of which `changed` slots, spread evenly at random, have been invalidated within `lags`. */
function clockWith(seq: number, changed: number, lags: number): Clock {
  const clock = newClock(EPOCH);
  clock.seq = seq;
  const slots = Array.from({ length: SLOT_COUNT }, (_, slot) => ({ slot, order: random() }));
  for (const { slot } of slots.sort((a, b) => a.order - b.order).slice(0, changed))
    raise(clock, slot, seq - Math.floor(random() * lags));
  return clock;
}

function timeMs(run: () => void): number {
  const startedAt = performance.now();
  run();
  return performance.now() - startedAt;
}

interface DeltaCost {
  readonly bytes: number;
  readonly encodeMs: number;
  readonly applyMs: number;
}

/** Medians, in milliseconds; the mirror that it is applied to is new each time, as at a cold start. */
function costOf(clock: Clock, since: number): DeltaCost {
  const delta = encodeDelta(clock, since);
  const encodes: number[] = [];
  const applies: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    encodes.push(timeMs(() => encodeDelta(clock, since)));
    const mirror = newClock(EPOCH);
    applies.push(timeMs(() => applyDelta(mirror, clock.seq, delta)));
  }
  return { bytes: delta.byteLength, encodeMs: median(encodes), applyMs: median(applies) };
}

function printAnswersThatBringNothing(): void {
  const idle: SyncAnswer = {
    epoch: EPOCH,
    seq: SEQ,
    ageMs: 12.5,
    askAgainMs: 50,
    sources: {},
    delta: new Uint8Array(0),
  };
  const withOutbox = { ...idle, sources: { outbox: 1_234 } };
  title('An answer that brings nothing (aim < 100 bytes)', 'object', 'packed', 'packed, cold');
  for (const [name, answer] of [
    ['no source', idle],
    ['one source', withOutbox],
    ['one source, seq 2^41', { ...withOutbox, seq: 2 ** 41 }],
  ] as const) {
    const packed = encodeAnswer(answer, EPOCH);
    if (decodeAnswer(packed, EPOCH).seq !== answer.seq) throw new Error('The packing does not hold.');
    row(
      name.padEnd(58),
      serialize(answer).length,
      serialize(packed).length,
      serialize(encodeAnswer(answer, '')).length,
    );
  }
  const request: SyncRequest = {
    epoch: EPOCH,
    sinceSeq: SEQ,
    maxAgeMs: 2_000,
    atLeast: undefined,
    sourceMaxAgeMs: 2_000,
    region: 'weur',
  };
  row('the request, for comparison'.padEnd(58), serialize(request).length, '', '');
}

function printDeltas(): void {
  title('Typical deltas, seq 1,000,000', 'bytes', 'encode µs', 'apply µs');
  for (const changed of [1, 10, 100, 1_000, 10_000]) {
    // Five tags an invalidation: so many invalidations ago lies the oldest.
    const { bytes, encodeMs, applyMs } = costOf(
      clockWith(SEQ, changed, Math.max(1, changed / 5)),
      SEQ - changed,
    );
    row(
      `${changed} changed slots`.padEnd(58),
      bytes,
      (encodeMs * 1_000).toFixed(0),
      (applyMs * 1_000).toFixed(0),
    );
  }
  title(
    'A full cold sync: 65,536 slots (aims < 400 KB, < 20 ms)',
    'bytes',
    'encode ms',
    'apply ms',
    'both ms',
  );
  for (const [name, seq, lags] of [
    ['seq 1,000,000, versions at random', SEQ, SEQ],
    ['seq 2^41 (10,000/s for seven years), at random', 2 ** 41, 2 ** 41],
    ['seq 2^53 - 1, versions at random: the worst there is', Number.MAX_SAFE_INTEGER, 2 ** 53 - 1],
  ] as const) {
    const { bytes, encodeMs, applyMs } = costOf(clockWith(seq, SLOT_COUNT, lags), 0);
    row(name.padEnd(58), bytes, encodeMs.toFixed(1), applyMs.toFixed(1), (encodeMs + applyMs).toFixed(1));
  }
}

printAnswersThatBringNothing();
printDeltas();
