import { describe, expect, it } from 'vitest';
import { compareEvents, isSettled, type SentEvent } from '../../../scripts/chaos/events-ledger.ts';

const sent: readonly SentEvent[] = [
  { id: '1', customer: 'a', isAcknowledged: true },
  { id: '2', customer: 'a', isAcknowledged: true },
  { id: '3', customer: 'b', isAcknowledged: false },
];
const counts = (of: Record<string, number>) => new Map(Object.entries(of));
const well = { rows: counts({ 1: 1, 2: 1 }), counted: counts({ a: 2 }) };
const nothing = { lost: [], doubled: [], foreign: [], miscounted: [] };

describe('events', () => {
  it('are well if those that were acknowledged are stored and counted once', () => {
    expect(compareEvents(sent, well)).toEqual(nothing);
    expect(isSettled(compareEvents(sent, well))).toBe(true);
  });

  it('may be stored without having been acknowledged', () => {
    const stored = { rows: counts({ 1: 1, 2: 1, 3: 1 }), counted: counts({ a: 2, b: 1 }) };
    expect(compareEvents(sent, stored)).toEqual(nothing);
  });

  it('are lost if they were acknowledged and are not stored', () => {
    const found = compareEvents(sent, { rows: counts({ 1: 1 }), counted: counts({ a: 1 }) });
    expect(found).toEqual({ ...nothing, lost: ['2'] });
    expect(isSettled(found)).toBe(false);
  });

  it('are doubled with two rows', () => {
    const found = compareEvents(sent, { rows: counts({ 1: 2, 2: 1 }), counted: counts({ a: 3 }) });
    expect(found).toEqual({ ...nothing, doubled: ['1'] });
  });

  it('are foreign if nobody sent them', () => {
    expect(compareEvents(sent, { ...well, rows: counts({ 1: 1, 2: 1, 9: 1 }) }).foreign).toEqual(['9']);
  });

  it.each([1, 3])('are miscounted if the features have %i of 2', (counted) => {
    const found = compareEvents(sent, { ...well, counted: counts({ a: counted }) });
    expect(found).toEqual({ ...nothing, miscounted: [`a: 2 stored, ${counted} counted`] });
    expect(isSettled(found)).toBe(false);
  });
});
