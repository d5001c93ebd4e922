import { describe, expect, it } from 'vitest';
import { retrainingOf } from '../../../src/define/retraining.ts';
import { verdictOf } from '../../../src/training/runs/evaluation.ts';
import { closedGates, gatesOf } from '../../../src/training/runs/gates.ts';
import { isScheduled, mayBegin } from '../../../src/training/runs/policy.ts';

const HOUR_MS = 3_600_000;
const NOW = Date.UTC(2026, 10, 29);

describe('the policy of runs', () => {
  const policy = retrainingOf({ everyDays: 7, debounceMinutes: 90 });
  const ago = (hours: number, isActive = false) => ({ begunMs: NOW - hours * HOUR_MS, isActive });

  it('begins one run at a time, and no other before the declared time has passed', () => {
    expect(mayBegin(policy, undefined, NOW)).toBe(true);
    expect(mayBegin(policy, ago(1), NOW)).toBe(false);
    expect(mayBegin(policy, ago(1.5), NOW)).toBe(true);
    expect(mayBegin(policy, ago(2, true), NOW)).toBe(false);
  });

  it('is due by the time since the last run began', () => {
    expect([167, 168].map((hours) => isScheduled(policy, ago(hours), NOW))).toEqual([false, true]);
    expect(isScheduled(policy, undefined, NOW)).toBe(true);
    expect(isScheduled(retrainingOf({}), undefined, NOW)).toBe(false);
  });

  it('has six months of history by default, and refuses unknown settings', () => {
    expect(retrainingOf({})).toMatchObject({ historyDays: 182, debounceMinutes: 60, onDrift: false });
    expect(() => retrainingOf({ afterEvents: 0 })).toThrow(/afterEvents/);
  });
});

describe('the gates', () => {
  const figures = {
    ...{ deadLetters: 0, waitingChanges: 1_000, kafkaLag: 1_000 },
    quality: { window: '24h', events: 100, score: 0.95 },
    history: { from: NOW - 182 * 24 * HOUR_MS, to: NOW, knownFrom: NOW - 182 * 24 * HOUR_MS },
  };
  const rules = { qualityMin: 0.95, historyDays: 182, knowledge: 'row' as const };
  const closed = (changed: object) =>
    gatesOf({ ...figures, ...changed }, rules).flatMap(({ gate, holds }) => (holds ? [] : [gate]));

  it('hold at their limits, and each closes beyond its own', () => {
    expect(closedGates(gatesOf(figures, rules))).toBeUndefined();
    expect(closed({ deadLetters: 1 })).toEqual(['pipeline']);
    expect(closed({ quality: { window: '24h', events: 100, score: 0.949 } })).toEqual(['quality']);
    expect(closed({ quality: null, history: null })).toEqual(['quality', 'history']);
    expect(closed({ waitingChanges: 1_001 })).toEqual(['streaming']);
    expect(closed({ kafkaLag: 1_001 })).toEqual(['streaming']);
    expect(closed({ kafkaLag: 'unknown' })).toEqual(['streaming']);
    expect(closed({ kafkaLag: null })).toEqual([]);
  });

  it('close for a history that was imported just now, unless the features are those of the snapshot', () => {
    const history = { ...figures.history, knownFrom: NOW + HOUR_MS };
    const imported = gatesOf({ ...figures, history }, rules);
    expect(closedGates(imported)).toMatch(/history \(days 0, knowledge row, from 2.*daysMin 182/);
    expect(
      closedGates(gatesOf({ ...figures, history }, { ...rules, knowledge: 'snapshot' })),
    ).toBeUndefined();
  });
});

describe('the verdict', () => {
  const gain = (low: number) => ({ value: low + 1, low, high: low + 2 });
  const champion = { version: '0'.repeat(12), figures: {}, why: null };

  it('is better if the intervals of all gains are above 0', () => {
    expect(verdictOf({ gains: { baseline: gain(0.1), champion: null }, champion: null })).toBe('better');
    expect(verdictOf({ gains: { baseline: gain(0), champion: null }, champion: null })).toBe('not_better');
    expect(verdictOf({ gains: { baseline: null, champion: null }, champion: null })).toBe('not_better');
    expect(verdictOf({ gains: { baseline: gain(1), champion: gain(-0.1) }, champion })).toBe('not_better');
    expect(verdictOf({ gains: { baseline: gain(1), champion: gain(0.1) }, champion })).toBe('better');
  });

  it('leaves out a champion that cannot be compared', () => {
    const other = { ...champion, figures: null, why: 'It takes other columns.' };
    expect(verdictOf({ gains: { baseline: gain(1), champion: null }, champion: other })).toBe('better');
  });
});
