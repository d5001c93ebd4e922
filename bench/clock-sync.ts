/**
 * What a sync of the tag clock weighs, how long its rules take, and what judging an entry costs: `npm run bench:clock`.
 * Bytes are those of Node's structured clone (`v8.serialize`), a stand-in for that of a call to a Durable Object: workerd
 * uses the same serializer of V8, and adds an envelope of its own that is not counted here.
 */
import { serialize } from 'node:v8';
import { ChangedTags, CLOCK_LIMITS } from '../src/cache/clock/changed-tags.ts';
import { type Clock, invalidate, isValid, newClock } from '../src/cache/clock/clock.ts';
import { applyDelta, encodeDelta } from '../src/cache/clock/delta.ts';
import type { SyncAnswer, SyncRequest } from '../src/cache/clock/mirror.ts';
import { decodeAnswer, encodeAnswer } from '../src/cache/clock/wire.ts';
import { seededRandom } from '../src/platform/random.ts';
import { median } from './support/load.ts';

const EPOCH = '0b8f62c4-8f0e-4a57-9a53-1e1f3a6f7d11';
const SEQ = 1_000_000;
const RUNS = 60;
const SEED = 7;
/** Tags of one invalidation. */
const TAGS = 5;

const random = seededRandom(SEED);
const randomTag = () => Math.floor(random() * 2 ** 32);
const row = (...cells: (string | number)[]) =>
  console.log(cells.map((cell, index) => String(cell).padStart(index === 0 ? -1 : 14)).join(''));
const title = (text: string, ...columns: string[]) => {
  console.log('');
  row(text.padEnd(58), ...columns);
};

/** A clock in which so many tags have changed, five an invalidation, each another one. */
function clockWith(changes: number): Clock {
  const clock = newClock(EPOCH);
  clock.seq = SEQ;
  clock.changed.forgetUpTo(SEQ);
  for (let made = 0; made < changes; made += TAGS)
    invalidate(clock, Array.from({ length: Math.min(TAGS, changes - made) }, randomTag));
  return clock;
}

function timeMs(run: () => void): number {
  const startedAt = performance.now();
  run();
  return performance.now() - startedAt;
}

function printAnswersThatBringNothing(): void {
  const idle: SyncAnswer = {
    epoch: EPOCH,
    seq: SEQ,
    sinceSeq: SEQ,
    floorSeq: SEQ - 20_000,
    ageMs: 12.5,
    askAgainMs: 50,
    sources: {},
    changes: new Uint8Array(0),
  };
  const withOutbox = { ...idle, sources: { outbox: 1_234 } };
  title('An answer that brings nothing (aim < 100 bytes)', 'object', 'packed', 'packed, cold');
  for (const [name, answer] of [
    ['no source', idle],
    ['one source', withOutbox],
    ['one source, seq 2^41', { ...withOutbox, seq: 2 ** 41, sinceSeq: 2 ** 41 }],
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

/** Medians; the mirror that a delta is applied to is new each time, as at a cold start. */
function printDeltas(): void {
  title(
    'Deltas, five tags an invalidation (a cold sync: aims < 300 KB, < 20 ms)',
    'bytes',
    'encode ms',
    'apply ms',
    'tags sent',
  );
  for (const changes of [1, 10, 100, 1_000, 10_000, 60_000, CLOCK_LIMITS.tagsMax]) {
    const clock = clockWith(changes);
    const delta = encodeDelta(clock, SEQ);
    const encodes: number[] = [];
    const applies: number[] = [];
    let sent = 0;
    for (let run = 0; run < RUNS; run += 1) {
      encodes.push(timeMs(() => encodeDelta(clock, SEQ)));
      const mirror = newClock(EPOCH);
      applies.push(timeMs(() => applyDelta(mirror, delta)));
      sent = mirror.changed.length;
    }
    row(
      `${changes.toLocaleString('en')} changed tags`.padEnd(58),
      delta.changes.byteLength,
      median(encodes).toFixed(3),
      median(applies).toFixed(3),
      sent,
    );
  }
}

/** The tags of a page of 50 rows, its range and its purges. */
const PAGE_TAGS = 83;
const PAGES = 1_000;
const ROUNDS = 40;

/**
 * Compares the validation of a page's entry with a look-up of each tag in one array of versions, which is the simplest
 * rule possible. Both alternate within one run; only the ratio matters.
 */
function printJudging(): void {
  title('Judging valid entries of 83 tags, 1,000 pages in turn', 'µs', 'array, µs', 'ratio', 'memory, MB');
  for (const changes of [1_000, 16_500, 165_000]) {
    const clock = clockWith(changes);
    const versions = new Float64Array(65_536);
    const pages = Array.from({ length: PAGES }, () => Array.from({ length: PAGE_TAGS }, randomTag));
    const stamp = { epoch: EPOCH, stamp: clock.changed.floorSeq };
    let valid = 0;
    const byClock: number[] = [];
    const byArray: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      byClock.push(
        timeMs(() => {
          for (const tags of pages) if (isValid(clock, stamp, tags)) valid += 1;
        }),
      );
      byArray.push(
        timeMs(() => {
          for (const tags of pages)
            if (tags.every((tag) => (versions[tag & 0xffff] ?? 0) <= stamp.stamp)) valid += 1;
        }),
      );
    }
    if (valid < ROUNDS * PAGES) throw new Error('The pages are not valid.');
    const [mine, floor] = [median(byClock), median(byArray)];
    row(
      `${changes.toLocaleString('en')} changed tags remembered`.padEnd(58),
      ((mine * 1_000) / PAGES).toFixed(2),
      ((floor * 1_000) / PAGES).toFixed(2),
      (mine / floor).toFixed(2),
      (clock.changed.bytes / 1e6).toFixed(1),
    );
  }
}

/** How long a page that nothing changes stays valid of its 300 s, where each change is of another tag. */
function printLives(): void {
  const TTL_S = 300;
  title('Life of an untouched page of 83 tags, of 300 s', 'share', 'one of 65,536', '', 'memory, MB');
  for (const perSecond of [55, 550]) {
    const memory = new ChangedTags(CLOCK_LIMITS.tagsMax);
    const slots = new Uint8Array(65_536);
    const pages = Array.from({ length: PAGES }, () => Array.from({ length: PAGE_TAGS }, randomTag));
    const died = pages.map(() => TTL_S);
    const diedBySlot = pages.map(() => TTL_S);
    for (let second = 0; second < TTL_S; second += 1) {
      for (let made = 0; made < perSecond; made += 1) {
        const tag = randomTag();
        memory.add(second + 1, tag);
        slots[tag & 0xffff] = 1;
      }
      for (const [index, tags] of pages.entries()) {
        if (died[index] === TTL_S && memory.haveChangedSince(tags, 0)) died[index] = second;
        if (diedBySlot[index] === TTL_S && tags.some((tag) => slots[tag & 0xffff] === 1))
          diedBySlot[index] = second;
      }
    }
    const share = (seconds: readonly number[]) =>
      (seconds.reduce((sum, lived) => sum + lived, 0) / (PAGES * TTL_S)).toFixed(3);
    row(
      `${perSecond} changed tags a second`.padEnd(58),
      share(died),
      share(diedBySlot),
      '',
      (memory.bytes / 1e6).toFixed(1),
    );
  }
}

printAnswersThatBringNothing();
printDeltas();
printJudging();
printLives();
