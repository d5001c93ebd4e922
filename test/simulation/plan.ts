import { CLOCK_LIMITS } from '../../src/cache/clock/changed-tags.ts';
import { cachePolicy } from '../../src/define/cache-policy.ts';
import { type Random, seededRandom } from '../../src/platform/random.ts';
import { customersOf } from './customer-plan.ts';
import { BURST_MS, below, type MomentOf, pick, policyOf } from './draws.ts';
import type { Memory } from './machines.ts';
import type { NetworkFaults } from './network.ts';
import type { Change } from './origin.ts';
import {
  BUSY_MS,
  ISOLATES,
  KEYS,
  keyOfRow,
  type Plan,
  REGIONS_OF_WORLD,
  ROWS,
  type Step,
  type Visit,
} from './steps.ts';

const READS = 90;
const SESSIONS = 5;
const WRITES = 16;
const TROUBLES = 6;
const LONG_CUT_MS = 10_000;
/** One plan in this many has isolates that hedge. It takes no draw, so that the other plans do not depend on it. */
const HEDGED_EVERY = 3;
/** Hangs have draws of their own, so that the rest of a plan does not depend on them. */
const HANGS_BASIS = 0x2c1b_3c6d;
const LATE_FILL_BASIS = 0x7e57_00f1;
/** The share of plans with a fill that ends late, while its source is suspect. */
const LATE_FILLS = 0.08;
/** One plan in this many has customers. Their steps have draws of their own. */
const CUSTOMERS_EVERY = 5;
const CUSTOMERS_BASIS = 0x5eed_c057;
/** Taken in turn, so that they take no draw either. */
const MEMORIES: readonly Memory[] = [
  { limits: CLOCK_LIMITS, horizonMs: 600_000 },
  { limits: { tagsMax: 24, tagsPerSyncMax: 4 }, horizonMs: 600_000 },
  { limits: { tagsMax: 400, tagsPerSyncMax: 3 }, horizonMs: 600_000 },
  { limits: { tagsMax: 64, tagsPerSyncMax: 400 }, horizonMs: 6_000 },
];
const BURSTS = 7;

/**
 * The plan of a seed: sometimes a calm world, sometimes one in which little works.
 *
 * @param isWide whether some plans have customers, and others a fill that ends late, with a shorter bound of its source.
 */
export function planOf(seed: number, isWide = true): Plan {
  const random = seededRandom(seed);
  const bursts = Array.from({ length: BURSTS }, () => random() * BUSY_MS);
  const momentOf: MomentOf = () => {
    const anywhere = random() * BUSY_MS;
    const inBurst = pick(random, bursts) + (random() - 0.5) * BURST_MS;
    return Math.round(Math.max(0, random() < 0.3 ? anywhere : inBurst));
  };
  const many = (count: number, make: () => Step): Step[] => Array.from({ length: count }, make);
  const trouble = random();
  const steps = [
    ...many(READS, () => readOf(random, momentOf)),
    ...Array.from({ length: SESSIONS }, (_, n) => sessionOf(random, momentOf, `s${n}`)),
    ...many(WRITES, () => writeOf(random, momentOf)),
    ...many(Math.round(TROUBLES * trouble * 2), () => troubleOf(random, momentOf)),
    ...(random() < 0.3 ? deafnessOf(random) : []),
    ...hangsOf(seededRandom(seed ^ HANGS_BASIS)),
  ];
  const lateFill = isWide ? lateFillOf(seededRandom(seed ^ LATE_FILL_BASIS)) : undefined;
  const hasCustomers = isWide && lateFill === undefined && seed % CUSTOMERS_EVERY === 0;
  const customers = hasCustomers ? customersOf(seededRandom(seed ^ CUSTOMERS_BASIS), bursts) : undefined;
  const network: NetworkFaults = {
    loss: random() < 0.5 ? 0 : (random() < 0.5 ? 0.05 : 0.2) * random(),
    silence: random() < 0.7 ? 0 : 0.02 * random(),
    late: random() < 0.4 ? 0 : (random() < 0.5 ? 0.1 : 0.3) * random(),
    lateMsMax: 200 + random() * 4_000,
    pushLoss: pick(random, [0, 0, 0.5, 1]),
    rootMsMax: pick(random, [60, 60, 60, 600, 3_000]),
    doubling: random() < 0.4 ? 0 : 0.5 * random(),
  };
  return {
    seed,
    hedgesRegions: seed % HEDGED_EVERY === 0,
    memory: MEMORIES[seed % MEMORIES.length] as Memory,
    policies: {
      ...Object.fromEntries(KEYS.map((key) => [key, policyOf(random)])),
      ...lateFill?.policies,
      ...customers?.policies,
    },
    hasCustomers,
    network,
    kvLagMsMax: random() < 0.5 ? 60_000 : 180_000,
    // Other writes would raise the clock, and a reader shares no fill of before that.
    steps: [
      ...(lateFill === undefined ? steps : steps.filter(isNoWrite)),
      ...(lateFill?.steps ?? []),
      ...(customers?.steps ?? []),
    ].sort((a, b) => a.atMs - b.atMs),
  };
}

function readOf(random: Random, momentOf: MomentOf): Step {
  const level = pick(random, ['strong', 'bounded', 'bounded', 'bounded', 'eventual'] as const);
  return {
    kind: 'read',
    atMs: momentOf(),
    isolate: below(random, ISOLATES),
    key: keyOf(random),
    level,
  };
}

function sessionOf(random: Random, momentOf: MomentOf, id: string): Step {
  const key = keyOf(random);
  const visits = Array.from({ length: 2 + below(random, 6) }, (): Visit => {
    // Mostly the same key: that is where time could go backwards.
    const read = random() < 0.8 ? key : keyOf(random);
    const does = random() < 0.75 ? { read } : { change: changeOf(random) };
    return { isolate: below(random, ISOLATES), afterMs: Math.round(random() ** 3 * 2_000), does };
  });
  return { kind: 'session', atMs: momentOf(), id, visits };
}

function writeOf(random: Random, momentOf: MomentOf): Step {
  const changes = random() < 0.25 ? [changeOf(random), changeOf(random)] : [changeOf(random)];
  const distinct = changes.filter(
    ({ row }, index) => changes.findIndex((other) => other.row === row) === index,
  );
  const atMs = momentOf();
  return random() < 0.6
    ? {
        kind: 'write',
        atMs,
        isolate: below(random, ISOLATES),
        changes: distinct,
        watchers: [below(random, ISOLATES), below(random, ISOLATES)],
      }
    : { kind: 'foreign-write', atMs, changes: distinct };
}

/** The relay hears nothing for longer than a source may be silent, and just then something is committed. */
function deafnessOf(random: Random): Step[] {
  const atMs = Math.round(random() * 4_000);
  const row = below(random, ROWS);
  const isolate = below(random, ISOLATES);
  const readAt = (afterMs: number): Step => {
    return { kind: 'read', atMs: atMs + afterMs, isolate, key: keyOfRow(row), level: 'bounded' };
  };
  return [
    { kind: 'cut', atMs, a: pick(random, ['origin', 'root']), b: 'relay', forMs: LONG_CUT_MS + 6_000 },
    ...[100, 5_000, 10_000, 13_500, 15_000].map(readAt),
    { kind: 'foreign-write', atMs: atMs + 1_000, changes: [{ row, kind: 'update' }] },
  ];
}

/** In some plans peers hang, and queries have a defect; in some of these while their answers are void. */
function hangsOf(random: Random): Step[] {
  const steps: Step[] = [];
  const forMs = () => Math.round(1_000 + random() * 9_000);
  const atMs = () => Math.round(random() * BUSY_MS);
  while (random() < 0.4) {
    const region = pick(random, REGIONS_OF_WORLD);
    const isolate = `isolate ${below(random, ISOLATES)}`;
    const links: readonly (readonly [string, string])[] = [
      ['root', region],
      [region, isolate],
      ['root', isolate],
      ['origin', isolate],
      ['root', 'relay'],
      ['origin', 'relay'],
      [`gate of ${keyOf(random)}`, isolate],
    ];
    const [a, b] = pick(random, links);
    steps.push({ kind: 'hang', atMs: atMs(), a, b, how: pick(random, ['never', 'late']), forMs: forMs() });
  }
  if (random() < 0.3) steps.push({ kind: 'defect', atMs: atMs(), forMs: forMs() });
  return steps;
}

/**
 * An isolate reads the database and gets the answer late. Meanwhile something is committed, which the relay does not
 * hear of for longer than a source may be silent. Then others read the same. The bound of the source is shorter than a
 * view may declare, because no fill of this world takes as long as that.
 */
function lateFillOf(random: Random): Pick<Plan, 'policies' | 'steps'> | undefined {
  if (random() >= LATE_FILLS) return undefined;
  const atMs = Math.round(random() * 1_000);
  const row = below(random, ROWS);
  const key = keyOfRow(row);
  const filler = below(random, ISOLATES);
  const readAt = (afterMs: number, isolate: number): Step => {
    return { kind: 'read', atMs: atMs + afterMs, isolate, key, level: 'bounded' };
  };
  const others = Array.from({ length: 8 }, (_, n) =>
    readAt(4_300 + 150 * n, (filler + 1 + below(random, ISOLATES - 1)) % ISOLATES),
  );
  return {
    policies: { [key]: { ...cachePolicy({ boundMs: 200 }), sourceBoundMs: 2_000 } },
    steps: [
      { kind: 'cut', atMs, a: 'origin', b: 'relay', forMs: LONG_CUT_MS },
      { kind: 'hang', atMs, a: 'origin', b: `isolate ${filler}`, how: 'slow', forMs: 1_500 },
      readAt(100, filler),
      { kind: 'foreign-write', atMs: atMs + 900, changes: [{ row, kind: 'update' }] },
      ...others,
    ],
  };
}

function isNoWrite({ kind }: Step): boolean {
  return kind !== 'write' && kind !== 'foreign-write' && kind !== 'session';
}

function changeOf(random: Random): Change {
  return { row: below(random, ROWS), kind: random() < 0.3 ? 'toggle' : 'update' };
}

function troubleOf(random: Random, momentOf: MomentOf): Step {
  const atMs = momentOf();
  const forMs = Math.round(200 + random() * 6_000);
  const region = pick(random, REGIONS_OF_WORLD);
  const isolate = `isolate ${below(random, ISOLATES)}`;
  const luck = random();
  if (luck < 0.4) {
    const machines = ['root', 'root', region, isolate, isolate, 'relay', `gate of ${keyOf(random)}`];
    return { kind: 'restart', atMs, machine: pick(random, machines) };
  }
  if (luck < 0.45) return { kind: 'reset-root', atMs };
  if (luck < 0.7) {
    const links: readonly (readonly [string, string])[] = [
      ['root', region],
      [region, isolate],
      ['root', 'relay'],
      ['origin', 'relay'],
      ['root', isolate],
    ];
    const [a, b] = pick(random, links);
    // Now and then for longer than a source may be silent.
    return {
      kind: 'cut',
      atMs,
      a,
      b,
      forMs: random() < (b === 'relay' ? 0.7 : 0.2) ? forMs + LONG_CUT_MS : forMs,
    };
  }
  if (luck < 0.8) return { kind: 'forget-colo', atMs, region };
  return random() < 0.5
    ? { kind: 'origin', atMs, down: true, slowMs: 0, forMs }
    : { kind: 'origin', atMs, down: false, slowMs: Math.round(random() * 4_000), forMs };
}

function keyOf(random: Random): string {
  return pick(random, KEYS);
}
