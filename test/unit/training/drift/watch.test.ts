import { describe, expect, it } from 'vitest';
import { SCORE } from '../../../../src/inference/observed-rows.ts';
import { seededRandom } from '../../../../src/platform/random.ts';
import { DriftProfile, profileSteps } from '../../../../src/training/drift/profile.ts';
import { DriftWatch, DriftWatchState } from '../../../../src/training/drift/watch.ts';
import { NAMES, rowOf } from './streams.ts';

const ROWS = 2_000;
const FALSE_ALARM_ROWS = 10_000;
const COLUMNS = [...NAMES, SCORE];
const NOW = Date.UTC(2026, 10, 29);

/** The answer of the made-up model: the first column, doubled. */
function answered(random: () => number, shift?: Parameters<typeof rowOf>[1]): number[] {
  const row = rowOf(random, shift);
  return [...row, 2 * (row[0] ?? 0)];
}

function profile(rows = ROWS): DriftProfile | undefined {
  const random = seededRandom(1);
  const drawn = Array.from({ length: rows }, () => answered(random));
  const columns = COLUMNS.map((_, at) => Float32Array.from(drawn, (row) => row[at] ?? 0));
  const steps = profileSteps({
    ...{ model: 'm', version: 'v', falseAlarmRows: FALSE_ALARM_ROWS, names: NAMES, seed: 7 },
    ...{ columns: columns.slice(0, -1), scores: columns.at(-1) ?? new Float32Array() },
  });
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

const PROFILE = DriftProfile.parse(JSON.parse(JSON.stringify(profile())));

function rows(count: number, seed: number, shift?: Parameters<typeof rowOf>[1]): number[][] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => answered(random, shift));
}

describe('a profile', () => {
  it('is that of the version, with its score as a column, and survives JSON', () => {
    expect(PROFILE.reference.columns.map(({ name }) => name)).toEqual(COLUMNS);
    expect(PROFILE).toEqual(profile());
    expect(PROFILE.threshold).toBeGreaterThan(2);
  });

  it('is not made of too few rows', () => {
    expect(profile(999)).toBeUndefined();
  });
});

describe('a watch', () => {
  it('finds a drift, keeps it while it goes on, and ends it', () => {
    const watch = new DriftWatch(PROFILE);
    watch.add(COLUMNS, rows(500, 12), NOW);
    expect([watch.state.drifts, watch.state.latest?.isDrifting]).toEqual([[], false]);
    watch.add(COLUMNS, rows(200, 3, { mean: 2 }), NOW + 1);
    const { current } = watch;
    expect(current).toMatchObject({ sinceMs: NOW + 1, untilMs: null, training: null });
    expect(['normal', 'related', SCORE]).toContain(current?.found.column);
    expect(watch.wantsTraining(NOW + 1, 60)).toBe(true);
    watch.asked({ run: null, why: 'debounced', atMs: NOW + 2 });
    expect([61, 62].map((ms) => watch.wantsTraining(NOW + ms, 60))).toEqual([false, true]);
    watch.add(COLUMNS, rows(50, 4, { mean: 2 }), NOW + 3);
    const training = { run: null, why: 'debounced', atMs: NOW + 2 };
    expect(watch.state.drifts).toEqual([{ ...current, lastRows: 750, training }]);
    // While a window has rows of it, it is one drift and not two.
    watch.add(COLUMNS, rows(900, 5), NOW + 4);
    expect(watch.state.drifts).toHaveLength(1);
    watch.add(COLUMNS, rows(1_500, 6), NOW + 5);
    expect([watch.current, watch.wantsTraining(NOW + 99, 60)]).toEqual([undefined, false]);
    expect(watch.state.drifts).toMatchObject([{ sinceMs: NOW + 1, untilMs: NOW + 5 }]);
  });

  it('goes on from its state as if it had never stopped', () => {
    const stream = rows(600, 6, { mean: 0.4 });
    const whole = new DriftWatch(PROFILE);
    whole.add(COLUMNS, stream, NOW);
    const first = new DriftWatch(PROFILE);
    first.add(COLUMNS, stream.slice(0, 310), NOW);
    const kept = DriftWatchState.parse(JSON.parse(JSON.stringify(first.state)));
    const second = new DriftWatch(PROFILE, kept);
    second.add(COLUMNS, stream.slice(310), NOW);
    expect(second.state).toEqual(whole.state);
  });

  it('finds columns by their names, and takes one that is not there as missing', () => {
    const reversed = new DriftWatch(PROFILE);
    const stream = rows(400, 8);
    reversed.add(
      COLUMNS.toReversed(),
      stream.map((row) => row.toReversed()),
      NOW,
    );
    const straight = new DriftWatch(PROFILE);
    straight.add(COLUMNS, stream, NOW);
    expect(reversed.state).toEqual(straight.state);
    const without = new DriftWatch(PROFILE);
    without.add(
      COLUMNS.slice(1),
      stream.map((row) => row.slice(1)),
      NOW,
    );
    expect(without.current?.found).toMatchObject({ column: 'normal', missing: { training: 0, serving: 1 } });
  });
});
