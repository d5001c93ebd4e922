import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../src/cache/entry.ts';
import {
  complete,
  type Decision,
  disband,
  ENTRY_BYTES_MAX,
  enter,
  entryBytes,
  expire,
  fail,
  type Need,
  newFillGate,
  nextDeadlineMs,
  RESULT_KEPT_MS,
  WAIT_LEASES_MAX,
  WAITERS_MAX,
} from '../../../src/cache/fill-gate.ts';

function entryAt(stamp: number, epoch = 'e', body = '{}'): Entry {
  return { body, etag: '"x"', tagHashes: [1], epoch, stamp, filledAt: 0 };
}

interface Ticket {
  readonly need: Need;
  readonly leaseMs: number;
  readonly enteredAtMs: number;
  verdict: 'fill' | 'value' | undefined;
  /** When it was allowed to read. */
  filledAtMs?: number;
}

interface Operation {
  readonly kind: 'enter' | 'complete' | 'fail' | 'disband' | 'expire';
  readonly reporter: string | undefined;
}

/** A gate with a timer that is always punctual. It checks every decision and the state after every operation. */
class World {
  readonly gate = newFillGate();
  readonly tickets = new Map<string, Ticket>();
  readonly completedAtMs = new Map<Entry, number>();
  /** When the read of an entry was allowed to begin. */
  readonly begunAtMs = new Map<Entry, number>();
  nowMs = 0;
  fills = 0;

  enter(need: Need, leaseMs: number): Ticket {
    const ticketId = `t${this.tickets.size}`;
    const ticket: Ticket = { need, leaseMs, enteredAtMs: this.nowMs, verdict: undefined };
    this.tickets.set(ticketId, ticket);
    this.#run({ kind: 'enter', reporter: undefined }, () =>
      enter(this.gate, { ticketId, need, leaseMs }, this.nowMs),
    );
    return ticket;
  }

  complete(reporter: string, entry: Entry): void {
    this.completedAtMs.set(entry, this.nowMs);
    this.begunAtMs.set(entry, this.tickets.get(reporter)?.filledAtMs ?? Number.NEGATIVE_INFINITY);
    this.#run({ kind: 'complete', reporter }, () => complete(this.gate, reporter, entry, this.nowMs));
  }

  fail(reporter: string): void {
    this.#run({ kind: 'fail', reporter }, () => fail(this.gate, reporter, this.nowMs));
  }

  disband(reporter: string): void {
    this.#run({ kind: 'disband', reporter }, () => disband(this.gate, reporter, this.nowMs));
  }

  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const dueMs = nextDeadlineMs(this.gate);
      if (dueMs === undefined || dueMs > untilMs) break;
      expect(dueMs).toBeGreaterThanOrEqual(this.nowMs);
      this.nowMs = dueMs;
      this.#run({ kind: 'expire', reporter: undefined }, () => expire(this.gate, this.nowMs));
      // A deadline that is still due after its time would wake the object for ever.
      expect(nextDeadlineMs(this.gate) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(this.nowMs);
    }
    this.nowMs = untilMs;
  }

  fillers(): string[] {
    return [...this.tickets].filter(([, { verdict }]) => verdict === 'fill').map(([ticketId]) => ticketId);
  }

  #run(operation: Operation, step: () => Decision[]): void {
    const before = this.gate.lease;
    const disbanded =
      operation.kind === 'disband' && before !== undefined && before.holder === operation.reporter;
    for (const decision of step()) this.#judge(decision, disbanded);
    const after = this.gate.lease;
    // One lease at a time: it ends by its holder's report or by its time, and by nothing else.
    const mayEnd =
      before === undefined || before.holder === operation.reporter || before.expiresAtMs <= this.nowMs;
    if (!mayEnd) expect(after).toBe(before);
    // Nobody waits for nothing, and nobody waits without being known.
    if (this.gate.waiters.size > 0) expect(after?.expiresAtMs).toBeGreaterThan(this.nowMs);
    const undecided = [...this.tickets].filter(([, { verdict }]) => verdict === undefined);
    expect([...this.gate.waiters.keys()]).toEqual(undecided.map(([ticketId]) => ticketId));
  }

  #judge({ ticketId, verdict }: Decision, disbanded: boolean): void {
    const ticket = this.tickets.get(ticketId);
    if (ticket === undefined) throw new Error(`Nobody has the ticket ${ticketId}.`);
    expect(ticket.verdict).toBeUndefined();
    ticket.verdict = verdict.verdict;
    const waitedMs = this.nowMs - ticket.enteredAtMs;
    expect(waitedMs).toBeLessThanOrEqual(ticket.leaseMs * WAIT_LEASES_MAX);
    if (verdict.verdict === 'value') {
      const { entry } = verdict;
      expect(entry.epoch).toBe(ticket.need.epoch);
      expect(entry.stamp).toBeGreaterThanOrEqual(ticket.need.minStamp);
      const completedAtMs = this.completedAtMs.get(entry) ?? Number.NEGATIVE_INFINITY;
      expect(this.nowMs - completedAtMs).toBeLessThan(RESULT_KEPT_MS);
      const readAgeMs = Math.max(0, ticket.enteredAtMs - (this.begunAtMs.get(entry) ?? 0));
      // Of a read that was reported before, the gate no longer knows when it began.
      if (verdict.readAgeMs !== undefined) expect(verdict.readAgeMs).toBe(readAgeMs);
      expect(readAgeMs).toBeLessThanOrEqual(ticket.need.maxReadAgeMs ?? Number.POSITIVE_INFINITY);
      if (ticket.need.maxReadAgeMs !== undefined) expect(verdict.readAgeMs).toBeDefined();
      return;
    }
    this.fills += 1;
    ticket.filledAtMs = this.nowMs;
    expect(verdict.ticketId).toBe(ticketId);
    // Who reads has the lease, has waited long enough, or was told that there is nothing to wait for.
    const leased = this.gate.lease?.holder === ticketId;
    const waitedEnough = waitedMs === ticket.leaseMs * WAIT_LEASES_MAX;
    expect(leased || waitedEnough || disbanded).toBe(true);
  }
}

type Action =
  | { do: 'enter'; epoch: string; minStamp: number; leaseMs: number; maxReadAgeMs: number | undefined }
  | { do: 'complete'; pick: number; epoch: string; stamp: number }
  | { do: 'fail' | 'disband'; pick: number }
  | { do: 'pass'; ms: number };

const epochs = fc.constantFrom('e', 'e', 'e', 'f');
const stamps = fc.nat(6);
const actions: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    do: fc.constant<'enter'>('enter'),
    epoch: epochs,
    minStamp: stamps,
    leaseMs: fc.nat(400),
    maxReadAgeMs: fc.oneof({ arbitrary: fc.constant(undefined), weight: 4 }, fc.nat(600)),
  }),
  fc.record({ do: fc.constant<'complete'>('complete'), pick: fc.nat(), epoch: epochs, stamp: stamps }),
  fc.record({ do: fc.constantFrom<('fail' | 'disband')[]>('fail', 'disband'), pick: fc.nat() }),
  fc.record({ do: fc.constant<'pass'>('pass'), ms: fc.nat(500) }),
);

function perform(world: World, action: Action): void {
  if (action.do === 'pass') {
    world.pass(action.ms);
  } else if (action.do === 'enter') {
    const { epoch, minStamp, maxReadAgeMs } = action;
    world.enter(
      { epoch, minStamp, ...(maxReadAgeMs === undefined ? {} : { maxReadAgeMs }) },
      action.leaseMs + 1,
    );
  } else {
    // Any filler may report: again, late, or with a stamp below what it asked for itself.
    const fillers = world.fillers();
    const reporter = fillers[action.pick % Math.max(1, fillers.length)];
    if (reporter === undefined) return;
    if (action.do === 'complete') world.complete(reporter, entryAt(action.stamp, action.epoch));
    else world[action.do](reporter);
  }
}

describe('a fill gate, in any order of calls', () => {
  it('gives no caller a value below its need, has one lease at a time, and leaves no caller waiting', () => {
    const seen = { fill: 0, value: 0 };
    fc.assert(
      fc.property(fc.array(actions, { minLength: 10, maxLength: 80 }), (steps) => {
        const world = new World();
        for (const step of steps) perform(world, step);
        world.pass(10_000);
        for (const { verdict } of world.tickets.values()) {
          expect(verdict).toBeDefined();
          if (verdict !== undefined) seen[verdict] += 1;
        }
        expect(nextDeadlineMs(world.gate)).toBeUndefined();
      }),
      { numRuns: 1_000 },
    );
    // The run means nothing unless both verdicts were common in it.
    expect(Math.min(seen.fill, seen.value)).toBeGreaterThan(1_000);
  });

  it('needs at most two reads for any needs of one epoch, and one for equal needs', () => {
    fc.assert(
      fc.property(fc.array(stamps, { minLength: 1, maxLength: 50 }), (needs) => {
        const world = new World();
        for (const minStamp of needs) world.enter({ epoch: 'e', minStamp }, 100);
        for (let holder = world.gate.lease?.holder; holder !== undefined; ) {
          // An honest filler's stamp is at least what it asked for.
          world.complete(holder, entryAt(world.tickets.get(holder)?.need.minStamp ?? 0));
          holder = world.gate.lease?.holder;
        }
        expect([...world.tickets.values()].every(({ verdict }) => verdict !== undefined)).toBe(true);
        expect(world.fills).toBe(needs.some((need) => need > (needs[0] ?? 0)) ? 2 : 1);
      }),
    );
  });
});

describe('a fill gate', () => {
  const low = { epoch: 'e', minStamp: 1 };
  const high = { epoch: 'e', minStamp: 5 };

  it('makes one read of many misses', () => {
    const world = new World();
    for (let index = 0; index < 1_000; index += 1) world.enter(low, 100);
    world.complete('t0', entryAt(1));
    expect(world.fills).toBe(1);
    expect([...world.tickets.values()].filter(({ verdict }) => verdict === 'value')).toHaveLength(999);
  });

  it('lets the waiter with the newest need read next, for all the others', () => {
    const world = new World();
    world.enter(low, 100);
    const waiters = [3, 5, 4, 5].map((minStamp) => world.enter({ epoch: 'e', minStamp }, 100));
    world.complete('t0', entryAt(2));
    expect(waiters.map(({ verdict }) => verdict)).toEqual([undefined, 'fill', undefined, undefined]);
    world.complete('t2', entryAt(5));
    expect(waiters.map(({ verdict }) => verdict)).toEqual(['value', 'fill', 'value', 'value']);
  });

  it('passes the lease on when it expires, and gives a late entry to the waiters whose need it meets', () => {
    const world = new World();
    world.enter(low, 100);
    const [old, next, other] = [world.enter(low, 100), world.enter(high, 100), world.enter(high, 100)];
    world.pass(99);
    expect(next.verdict).toBeUndefined();
    world.pass(1);
    expect(next.verdict).toBe('fill');
    world.complete('t0', entryAt(3));
    expect([old.verdict, other.verdict]).toEqual(['value', undefined]);
    expect(world.gate.lease?.holder).toBe('t2');
  });

  it('releases all waiters after two fillers in a row have died', () => {
    const world = new World();
    world.enter(low, 100);
    for (let index = 0; index < 10; index += 1) world.enter(low, 100);
    world.pass(100);
    expect(world.fills).toBe(2);
    world.pass(100);
    expect(world.fills).toBe(11);
  });

  it('hands over after a failure, one at a time', () => {
    const world = new World();
    world.enter(low, 100);
    const [next, other] = [world.enter(low, 100), world.enter(low, 100)];
    world.fail('t0');
    expect([next.verdict, other.verdict]).toEqual(['fill', undefined]);
    // Who no longer holds the lease has nothing to hand over.
    world.fail('t0');
    expect(other.verdict).toBeUndefined();
  });

  it('keeps the newest result for a moment, for callers that arrive late', () => {
    const world = new World();
    world.enter(high, 100);
    world.complete('t0', entryAt(5));
    world.complete('t0', entryAt(2));
    expect(world.enter(high, 100).verdict).toBe('value');
    expect(world.enter({ epoch: 'f', minStamp: 0 }, 100).verdict).toBe('fill');
    world.pass(RESULT_KEPT_MS);
    expect(world.enter(high, 100).verdict).toBe('fill');
  });

  it('gives a reader whose source is suspect no entry whose read began too long before it, or nobody knows when', () => {
    const world = new World();
    const suspect = (maxReadAgeMs: number) => world.enter({ epoch: 'e', minStamp: 0, maxReadAgeMs }, 1_000);
    world.enter(low, 1_000);
    world.pass(300);
    const [tolerant, strict] = [suspect(300), suspect(299)];
    world.complete('t0', entryAt(5));
    expect([tolerant.verdict, strict.verdict]).toEqual(['value', 'fill']);
    world.complete('t2', entryAt(5));
    expect(suspect(0).verdict).toBe('value');
    // A filler that reports again: the gate has forgotten when it began.
    world.complete('t0', entryAt(6));
    expect(suspect(10_000).verdict).toBe('fill');
  });

  it('rejects callers beyond its limit, and passes on no entry beyond its size limit', () => {
    const gate = newFillGate();
    const verdicts = (decisions: Decision[]) => decisions.map(({ verdict }) => verdict.verdict);
    for (let index = 0; index <= WAITERS_MAX; index += 1)
      enter(gate, { ticketId: `t${index}`, need: low, leaseMs: 100 }, 0);
    expect(verdicts(enter(gate, { ticketId: 'beyond', need: low, leaseMs: 100 }, 0))).toEqual(['fill']);
    const large = entryAt(1, 'e', 'x'.repeat(ENTRY_BYTES_MAX / 4));
    const decided = verdicts(complete(gate, 't0', large, 0));
    const shared = decided.filter((verdict) => verdict === 'value').length;
    expect(decided).toHaveLength(WAITERS_MAX);
    expect(shared).toBeGreaterThan(50);
    expect(shared * entryBytes(large)).toBeLessThanOrEqual(32 * 1024 * 1024);
  });

  it('lets every waiter read the origin if the entry is too large to share', () => {
    const world = new World();
    world.enter(low, 100);
    const waiters = [world.enter(low, 100), world.enter(low, 100)];
    const decided = complete(world.gate, 't0', entryAt(1, 'e', 'x'.repeat(ENTRY_BYTES_MAX)), 0);
    expect(decided.map(({ verdict }) => verdict.verdict)).toEqual(waiters.map(() => 'fill'));
    expect(world.gate.result).toBeUndefined();
  });
});
