import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { costPage } from '../../../bench/cost/page.ts';
import { costOf, totalOf } from '../../../bench/cost/prices.ts';
import {
  EVENTS_ALONE,
  EVENTS_TOGETHER,
  eventsUsage,
  READS,
  readsUsage,
  waitingUsage,
} from '../../../bench/cost/scenarios.ts';

const PAGE = join(import.meta.dirname, '../../../docs/cost.md');

it('docs/cost.md is what `npm run cost -- --write` writes', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(costPage());
});

it('charges nothing for what the plan includes', () => {
  expect(costOf('kvWrites', { kvWrites: 1e6 })).toBe(0);
  expect(costOf('kvWrites', { kvWrites: 3e6 })).toBe(10);
  expect(totalOf({})).toBe(5);
});

it('keeps the budgets of a month', () => {
  expect(totalOf(readsUsage(READS).after)).toBeLessThanOrEqual(12_000);
  expect(totalOf(eventsUsage(EVENTS_TOGETHER).after)).toBeLessThanOrEqual(200);
  expect(totalOf(waitingUsage(EVENTS_TOGETHER))).toBeLessThanOrEqual(200);
  expect(totalOf(waitingUsage(EVENTS_ALONE))).toBeLessThanOrEqual(420);
});
