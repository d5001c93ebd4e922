import fc from 'fast-check';
import type { ModelDefinition } from '../../../src/define/model.ts';
import type { RecordedEvent } from '../../../src/features/point-in-time.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { events } from '../point-in-time/history.ts';
import { historyInMemory } from '../point-in-time/in-memory.ts';
import { type Made, makeDataset, specOf } from './memory.ts';
import { PAID, ROOMS, VISITS } from './models.ts';
import { type Asked, mistakeOfRows } from './oracle.ts';

const MODELS: Readonly<Record<Asked['kind'], ModelDefinition>> = { paid: PAID, visits: VISITS, rooms: ROOMS };
/** No page repeats an event. */
export const never: Iterator<boolean> = { next: () => ({ done: false, value: false }) };
const NOW = Date.UTC(2026, 10, 23, 12, 7, 31);

const scenario = fc.record({
  all: events,
  kind: fc.constantFrom('paid', 'visits', 'rooms'),
  knowledge: fc.constantFrom('row', 'snapshot'),
  asOf: fc.integer({ min: NOW - 86_400_000, max: NOW }),
  /** Limits that divide even a short history into parts, before it is read or while it is. */
  limits: fc.record({
    partRowsMax: fc.constantFrom(600, 20_000),
    partTouchesMax: fc.constantFrom(25, 100_000),
    partCellsMax: fc.constantFrom(300, 150_000),
  }),
  evictions: fc.array(fc.nat({ max: 60 }), { maxLength: 3 }),
});

/** Makes the dataset of a model; undefined where its history is too short for a row, or one key too large for a part. */
export async function madeOf(
  all: readonly RecordedEvent[],
  asked: Asked,
  making: Parameters<typeof makeDataset>[3] = {},
  history = historyInMemory(all, never),
): Promise<Made | undefined> {
  const definition = MODELS[asked.kind];
  const { asOf, knowledge } = asked;
  const spec = specOf(definition, { asOf, knowledge, from: null, to: null, seed: 7 });
  try {
    return await makeDataset(definition, spec, history, making);
  } catch (error) {
    if (error instanceof Failure && ['dataset_empty', 'dataset_too_large'].includes(error.code))
      return undefined;
    throw error;
  }
}

/** Compares made-up datasets with the naive ones. @returns how many of them had rows, and parts. */
export async function datasetsHold(seed: number, numRuns: number) {
  const reached = { rows: 0, divided: 0 };
  const property = fc.asyncProperty(scenario, async ({ all, limits, evictions, ...asked }) => {
    const isEvicted = (step: number) => evictions.includes(step);
    const made = await madeOf(all, asked, { limits, isEvicted });
    if (made === undefined) return;
    reached.rows += made.rows.length;
    if (made.parts > 1) reached.divided += 1;
    const mistake = mistakeOfRows(all, asked, made.rows);
    if (mistake !== undefined) throw new Error(mistake);
  });
  const result = await fc.check(property, { seed, numRuns });
  return { ...reached, mistake: result.failed ? String(result.errorInstance) : undefined };
}
