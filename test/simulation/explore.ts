import { type Clock, invalidate, isValid, newClock } from '../../src/cache/clock/clock.ts';
import { applyDelta, encodeDelta } from '../../src/cache/clock/delta.ts';

/**
 * An exhaustive exploration of a small world: one key, two commits whose invalidations may be doubled and
 * delayed at will, two fillers on two mirrors, a strong reader on one of them, and a sync of each mirror that may
 * come late. Every interleaving is walked to its end; the rules of the clock are the real ones.
 */

/** Deliberate faults in the order of steps, to see that the exploration would find them. */
export type Fault =
  | 'stamp-after-read'
  | 'invalidate-before-commit'
  | 'join-earlier-sync'
  | 'acknowledge-early';

/** The hash of the key's tag. */
const TAG = 7;
const COMMITS = 2;

/** What a clock knows of the one tag. */
interface Known {
  readonly seq: number;
  readonly version: number;
}

interface Filler {
  readonly step: 0 | 1 | 2 | 3;
  readonly stamp: number;
  readonly value: number;
}

interface Reader {
  /** 0: not begun, 1: begun, 2: its sync is under way, 3: synced, 4: answered. */
  readonly step: 0 | 1 | 2 | 3 | 4;
  /** The newest commit that was acknowledged when it began. */
  readonly floor: number;
  readonly answer: Known | null;
}

interface World {
  readonly committed: number;
  /** Copies of each commit's invalidation that may still arrive: two, so that any may be doubled. */
  readonly pending: readonly number[];
  readonly acknowledged: number;
  readonly root: Known;
  readonly mirrors: readonly Known[];
  /** A background sync of each mirror: not sent, under way with what the root knew, or done. */
  readonly background: readonly (Known | 'unsent' | 'done')[];
  readonly fillers: readonly Filler[];
  /** The shared tier: whatever was stored last. */
  readonly entry: { readonly stamp: number; readonly value: number } | null;
  readonly readers: readonly Reader[];
}

export interface Exploration {
  readonly states: number;
  /** The steps that led to a strong read below its floor, if there were any. */
  readonly violation: readonly string[] | undefined;
}

const START: World = {
  committed: 0,
  pending: [0, 0],
  acknowledged: 0,
  root: { seq: 0, version: 0 },
  mirrors: [
    { seq: 0, version: 0 },
    { seq: 0, version: 0 },
  ],
  background: ['unsent', 'unsent'],
  fillers: [
    { step: 0, stamp: 0, value: 0 },
    { step: 0, stamp: 0, value: 0 },
  ],
  entry: null,
  readers: [{ step: 0, floor: 0, answer: null }],
};

type Step = readonly [name: string, world: World];

/** Walks every reachable state once. */
export function explore(fault?: Fault): Exploration {
  const seen = new Set<string>([JSON.stringify(START)]);
  const stack: { world: World; trace: readonly string[] }[] = [{ world: START, trace: [] }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    for (const [name, world] of stepsOf(next.world, fault)) {
      const trace = [...next.trace, name];
      if (name.startsWith('VIOLATION')) return { states: seen.size, violation: trace };
      const identity = JSON.stringify(world);
      if (seen.has(identity)) continue;
      seen.add(identity);
      stack.push({ world, trace });
    }
  }
  return { states: seen.size, violation: undefined };
}

function stepsOf(world: World, fault: Fault | undefined): Step[] {
  return [
    ...writerSteps(world, fault),
    ...[0, 1].flatMap((index) => [
      ...backgroundSteps(world, index),
      ...fillerSteps(world, index, fault),
      ...readerSteps(world, index, fault),
    ]),
  ];
}

function writerSteps(world: World, fault: Fault | undefined): Step[] {
  const steps: Step[] = [];
  const { committed, pending, root } = world;
  if (committed < COMMITS) {
    // With the fault, the invalidation of the next commit may arrive before the commit itself.
    const copies = with_(
      pending,
      committed,
      fault === 'invalidate-before-commit' ? (pending[committed] ?? 0) : 2,
    );
    const acknowledged = fault === 'acknowledge-early' ? committed + 1 : world.acknowledged;
    steps.push([
      `commit ${committed + 1}`,
      { ...world, committed: committed + 1, pending: copies, acknowledged },
    ]);
    if (fault === 'invalidate-before-commit' && pending[committed] === 0) {
      const raised = { ...world, root: raisedBy(root), pending: with_(pending, committed, -1) };
      steps.push([`invalidate ${committed + 1} ahead`, { ...raised, acknowledged: committed + 1 }]);
    }
  }
  for (const [index, copies] of pending.entries()) {
    if (copies <= 0) continue;
    const acknowledged = Math.max(world.acknowledged, index + 1);
    const after = {
      ...world,
      root: raisedBy(root),
      pending: with_(pending, index, copies - 1),
      acknowledged,
    };
    steps.push([`invalidate ${index + 1}`, after]);
  }
  return steps;
}

function backgroundSteps(world: World, index: number): Step[] {
  const sync = world.background[index];
  const mirror = world.mirrors[index];
  if (sync === undefined || mirror === undefined || sync === 'done') return [];
  if (sync === 'unsent') {
    return [
      [`mirror ${index} sends a sync`, { ...world, background: with_(world.background, index, world.root) }],
    ];
  }
  const mirrors = with_(world.mirrors, index, synced(mirror, sync));
  return [
    [
      `mirror ${index} is answered`,
      { ...world, mirrors, background: with_(world.background, index, 'done') },
    ],
  ];
}

function fillerSteps(world: World, index: number, fault: Fault | undefined): Step[] {
  const filler = world.fillers[index];
  const mirror = world.mirrors[index];
  if (filler === undefined || mirror === undefined || filler.step === 3) return [];
  const become = (next: Filler): World => ({ ...world, fillers: with_(world.fillers, index, next) });
  const stamps = filler.step === (fault === 'stamp-after-read' ? 1 : 0);
  if (filler.step === 2) {
    const stored = { ...become({ ...filler, step: 3 }), entry: { stamp: filler.stamp, value: filler.value } };
    return [[`filler ${index} stores value ${filler.value} of stamp ${filler.stamp}`, stored]];
  }
  const step = filler.step === 0 ? 1 : 2;
  return stamps
    ? [[`filler ${index} takes stamp ${mirror.seq}`, become({ ...filler, step, stamp: mirror.seq })]]
    : [
        [
          `filler ${index} reads value ${world.committed}`,
          become({ ...filler, step, value: world.committed }),
        ],
      ];
}

function readerSteps(world: World, index: number, fault: Fault | undefined): Step[] {
  const reader = world.readers[index];
  const mirror = world.mirrors[index];
  const earlier = world.background[index];
  if (reader === undefined || mirror === undefined) return [];
  const become = (next: Partial<Reader>): World => ({
    ...world,
    readers: with_(world.readers, index, { ...reader, ...next }),
  });
  switch (reader.step) {
    case 0:
      return [
        [
          `reader ${index} begins, owed ${world.acknowledged}`,
          become({ step: 1, floor: world.acknowledged }),
        ],
      ];
    case 1: {
      const own: Step = [`reader ${index} sends its sync`, become({ step: 2, answer: world.root })];
      const joins = fault === 'join-earlier-sync' && typeof earlier === 'object';
      return joins
        ? [own, [`reader ${index} joins an earlier sync`, become({ step: 2, answer: earlier })]]
        : [own];
    }
    case 2: {
      const mirrors = with_(
        world.mirrors,
        index,
        reader.answer === null ? mirror : synced(mirror, reader.answer),
      );
      return [[`reader ${index} is synced`, { ...become({ step: 3, answer: null }), mirrors }]];
    }
    case 3: {
      const { entry } = world;
      const hit = entry !== null && isValid(clockOf(mirror), { epoch: 'e', stamp: entry.stamp }, [TAG]);
      const value = hit ? entry.value : world.committed;
      const verdict = value < reader.floor ? 'VIOLATION: ' : '';
      return [
        [
          `${verdict}reader ${index} ${hit ? 'hits' : 'reads'} ${value}, owed ${reader.floor}`,
          become({ step: 4 }),
        ],
      ];
    }
    case 4:
      return [];
  }
}

function with_<T>(list: readonly T[], index: number, value: T): T[] {
  return list.map((item, at) => (at === index ? value : item));
}

/** The real rules on a clock with one tag. Results are remembered, because each clock takes memory of its own. */
const syncs = new Map<string, Known>();

function clockOf({ seq, version }: Known): Clock {
  const clock = newClock('e');
  if (version > 0) clock.changed.add(version, TAG);
  clock.seq = seq;
  return clock;
}

function known(clock: Clock): Known {
  return { seq: clock.seq, version: clock.changed.newestSeqOf(TAG) };
}

function raisedBy(root: Known): Known {
  const clock = clockOf(root);
  invalidate(clock, [TAG]);
  return known(clock);
}

/** What a mirror knows after an answer that the root gave when it knew `root`, asked since the mirror's own seq. */
function synced(mirror: Known, root: Known): Known {
  const identity = `${mirror.seq}/${mirror.version}/${root.seq}/${root.version}`;
  const before = syncs.get(identity);
  if (before !== undefined) return before;
  const delta = encodeDelta(clockOf(root), Math.min(mirror.seq, root.seq));
  const clock = clockOf(mirror);
  applyDelta(clock, delta);
  const after = known(clock);
  syncs.set(identity, after);
  return after;
}
