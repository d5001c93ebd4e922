import { pgTable, text } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entity } from '../../../src/define/entity.ts';
import { type FeatureDefinition, feature } from '../../../src/define/feature.ts';
import type { FeatureRow } from '../../../src/define/feature-value.ts';
import { rowChangeType } from '../../../src/define/row-change.ts';
import { joinHistory } from '../../../src/features/join-history.ts';
import { KnownMoves } from '../../../src/features/layout.ts';
import type { RecordedEvent } from '../../../src/features/point-in-time.ts';
import { rowChangesTarget } from '../../../src/storage/postgres/row-change-retention.ts';
import { partOf, shareOf } from '../../support/node/part.ts';
import { historyInMemory } from '../../support/point-in-time/in-memory.ts';
import { BackfilledShards } from './backfilled.ts';
import { keyOf, RecordedRows, type RowFault, rowOf } from './recorded-rows.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const KEYS = ['a', 'b', 'c'];
/** Steps of building that a world needs at most. */
const STEPS_MAX = 400;
const customers = pgTable('customers', {
  ...{ id: text('id').primaryKey(), country: text('country'), tier: text('tier') },
});
const customer = entity({ name: 'customer', table: customers, key: customers.id });
const TYPE = rowChangeType(customer);
const country = feature.column({ name: 'country', entity: customer, column: customers.country });
const tier = feature.column({ name: 'tier', entity: customer, column: customers.tier });
const RELEASES: readonly (readonly FeatureDefinition[])[] = [[country], [country, tier]];

const FAULTS = ['lock', 'table', 'numbers', 'deletions', 'reconcile', 'last'] as const;

/** A rule of folding changes that is left out: the order of their numbers, or that a deleted row has no values. */
type FoldFault = 'numbers' | 'deletions';
type Fault = RowFault | FoldFault;

function released(index: number, fault?: Fault): readonly FeatureDefinition[] {
  return (RELEASES[index] ?? []).map((definition): FeatureDefinition => {
    if (fault === 'numbers') return { ...definition, aggregate: 'last_value' };
    if (fault !== 'deletions') return definition;
    const contributions: FeatureDefinition['contributions'] = (parsed) =>
      Object(parsed)['row'] === null ? [] : definition.contributions(parsed);
    return { ...definition, contributions };
  });
}

const act = fc.oneof(
  { weight: 5, arbitrary: fc.record({ act: fc.constantFrom('begin', 'delete'), n: fc.nat(99) }) },
  { weight: 5, arbitrary: fc.record({ act: fc.constant('commit'), n: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('abort'), n: fc.nat(99) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('put'), n: fc.nat(99) }) },
  { weight: 5, arbitrary: fc.record({ act: fc.constant('deliver'), n: fc.nat(99) }) },
  { weight: 5, arbitrary: fc.record({ act: fc.constant('step'), n: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('more'), n: fc.integer({ min: 9, max: 20 }) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('pass'), n: fc.integer({ min: -4, max: 9 }) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('prune'), n: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('fail'), n: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom('deploy', 'evict'), n: fc.nat(1) }) },
);

/** The database, the shards, and readers who learn of moves at different times. */
class World {
  readonly shards: BackfilledShards;
  readonly rows: RecordedRows;
  readonly #fault: Fault | undefined;
  readonly #readers = [new KnownMoves(), new KnownMoves()];
  /** The number of the newest change that a reader has seen, or that a caller was told is folded. */
  readonly #least = new Map<string, number>();
  #release = 0;

  constructor(fault?: Fault) {
    this.#fault = fault;
    this.shards = new BackfilledShards(NOW, released(0, fault));
    this.rows = new RecordedRows(
      TYPE,
      NOW - 1_000,
      this.shards.history as RecordedEvent[],
      fault as RowFault,
    );
    this.rows.install(['country']);
  }

  async do(kind: string, n: number): Promise<void> {
    const key = KEYS[n % KEYS.length] ?? '';
    if (kind === 'begin' || kind === 'delete') this.rows.begin(key, kind === 'delete');
    if (kind === 'commit' || kind === 'abort') this.rows.end(n, kind === 'commit');
    if (kind === 'put') await this.#put(key);
    if (kind === 'deliver') await this.deliver(this.rows.all[n % Math.max(1, this.rows.all.length)]);
    if (kind === 'step') await this.#step(n === 0);
    if (kind === 'more') this.shards.moveTo(n);
    if (kind === 'pass') this.rows.pass(n);
    if (kind === 'prune') this.prune(n);
    if (kind === 'fail') this.shards.failIn = n;
    if (kind === 'evict') this.shards.deploy(released(this.#release, this.#fault));
    if (kind === 'deploy') this.#deploy(n);
  }

  async deliver(event: RecordedEvent | undefined): Promise<void> {
    if (event === undefined) return;
    this.rows.relayed.add(event.seq);
    await this.shards.deliver([event, event]);
    for (const { name } of released(this.#release))
      if (has(event, name)) this.#raise(keyOf(event), name, event.seq);
  }

  prune(age: number): void {
    this.rows.prune(age);
    this.shards.deleted.splice(0, 1, ...this.pruned);
  }

  get pruned() {
    const { until } = this.rows;
    if (until === undefined) return [];
    return [{ target: rowChangesTarget(TYPE), rows: 1, until: new Date(until).toISOString() }];
  }

  /** No reader sees what was not committed, or less than was seen or acknowledged before. */
  async check(at: number): Promise<void> {
    const reader = this.#readers[at % this.#readers.length] ?? new KnownMoves();
    for (const key of KEYS) {
      const row = await this.shards.readThrough(key, reader);
      for (const { name } of released(this.#release)) {
        const read = row[name];
        if (read === undefined || read.status === 'NOT_READY') continue;
        const least = this.#least.get(`${key} ${name}`) ?? 0;
        if (read.status === 'NOT_FOUND') expect(least, `${key} ${name} is not found`).toBe(0);
        else this.#raise(key, name, this.#changeOf(key, name, read.value, least));
      }
    }
  }

  /** The number of the first change from `least` on that has set the column to this value. */
  #changeOf(key: string, name: string, value: unknown, least: number): number {
    const change = this.rows.all
      .filter((event) => keyOf(event) === key && event.seq >= least && has(event, name))
      .sort((a, b) => a.seq - b.seq)
      .find((event) => (rowOf(event)?.[name] ?? null) === value);
    expect(change?.seq, `${key} ${name} is ${String(value)}, and ${least} was seen before`).toBeDefined();
    return change?.seq ?? least;
  }

  /** All that is under way ends; then every feature is what its row has. */
  async finish(): Promise<void> {
    this.shards.failIn = undefined;
    this.rows.settle();
    for (const event of this.rows.all.toReversed()) await this.deliver(event);
    this.prune(-100);
    const { shards } = this;
    const isMoving = () => shards.move !== undefined && shards.move.replay.state !== 'done';
    for (let steps = 0; steps < STEPS_MAX && isMoving(); steps += 1) await this.#step(false);
    expect(isMoving()).toBe(false);
    await this.shards.step(true);
    await this.shards.finish();
    for (const key of KEYS) {
      const row = await this.shards.readThrough(key, new KnownMoves());
      const isKnown = this.rows.all.some((event) => keyOf(event) === key);
      for (const { name } of released(this.#release)) {
        const want = this.rows.present(key)?.[name] ?? null;
        const status = want !== null ? 'PRESENT' : 'NULL_VALUE';
        if (isKnown) expect(row[name], `${key} ${name} at the end`).toMatchObject({ value: want, status });
        else expect(row[name]?.status).toBe('NOT_FOUND');
      }
    }
  }

  /** Features as of a moment are those of the whole history, or are refused. */
  async checkAsOf(moment: number): Promise<void> {
    const features = released(this.#release, this.#fault);
    const asked = KEYS.map((key) => ({ entity: 'customer', key, at: moment }));
    const history = historyInMemory(this.rows.history, [][Symbol.iterator]());
    const joined = joinHistory(features, asked, { ...history, pruned: async () => this.pruned });
    if (this.rows.until !== undefined && moment <= this.rows.until)
      return await expect(joined).rejects.toMatchObject({ code: 'history_pruned' });
    for (const [index, row] of (await joined).entries())
      for (const { name } of features) {
        const last = this.rows.all
          .filter((event) => keyOf(event) === KEYS[index] && event.recordedAt <= moment && has(event, name))
          .sort((a, b) => a.seq - b.seq)
          .at(-1);
        expect(shown(row, name)).toEqual(last === undefined ? 'NOT_FOUND' : (rowOf(last)?.[name] ?? null));
      }
  }

  /** A backfill that is under way goes first, then a move (`composition/backfilling.ts`). */
  async #step(isForced: boolean): Promise<void> {
    const { versions, replay, move } = this.shards;
    const isFilling = replay !== undefined && replay.state !== 'done';
    const goesFirst = isFilling && versions.some(({ state, isRetired }) => state === 'filling' && !isRetired);
    if (move === undefined || move.replay.state === 'done' || goesFirst) await this.shards.step(isForced);
    else await this.shards.stepMove();
  }

  /** Capture first, as `npm run deploy` does. */
  #deploy(n: number): void {
    this.#release = n;
    this.rows.install(released(n).map(({ name }) => name));
    this.shards.deploy(released(n, this.#fault));
  }

  /** A write through the API, which folds its change before it answers. */
  async #put(key: string): Promise<void> {
    const count = this.rows.all.length;
    this.rows.begin(key, false);
    this.rows.settle();
    for (const event of this.rows.all.slice(count)) if (keyOf(event) === key) await this.deliver(event);
  }

  #raise(key: string, name: string, seq: number): void {
    const identity = `${key} ${name}`;
    this.#least.set(identity, Math.max(seq, this.#least.get(identity) ?? 0));
  }
}

function has(event: RecordedEvent, name: string): boolean {
  const row = rowOf(event);
  return row === null || name in row;
}

function shown(row: FeatureRow, name: string): unknown {
  return row[name]?.status === 'NOT_FOUND' ? 'NOT_FOUND' : row[name]?.value;
}

async function checked(runs: number, fault?: Fault): Promise<void> {
  const acts = fc.array(act, { minLength: 20, maxLength: 80 });
  const moments = fc.array(fc.integer({ min: -1_010, max: -800 }), { minLength: 5, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(acts, moments, async (all, asOf) => {
      const world = new World(fault);
      using _ = world.shards;
      await world.shards.finish();
      for (const [at, { act: kind, n }] of all.entries()) {
        try {
          await world.do(kind, n);
        } catch (error) {
          if (!(error instanceof Error) || error.message !== 'A call fails.') throw error;
        }
        await world.check(at);
      }
      for (const ms of asOf) await world.checkAsOf(NOW + ms);
      await world.finish();
      for (const ms of asOf) await world.checkAsOf(NOW + ms);
    }),
    { numRuns: runs, endOnFailure: fault !== undefined },
  );
}

describe('features over columns', () => {
  it('show the row as it was committed, never go back, and are the row at the end', async () => {
    await checked(shareOf(200, 0.03));
  });

  it.each(partOf(FAULTS, 3))('are checked: without the rule of %s the check fails', async (fault) => {
    await expect(checked(400, fault)).rejects.toThrow();
  });
});
