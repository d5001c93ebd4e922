import type { ServedAnswer, ServedRecord } from '../../../src/inference/feedback/record.ts';

/** An answer of the ranker as it is logged. */
export function answerOf(changes: Partial<ServedAnswer> = {}): ServedAnswer {
  return {
    ...{
      id: 'p-1',
      request: 'r-1',
      at: 1_000,
      model: 'ranker',
      version: 'v1',
      entity: 'customer',
      key: 'ada',
    },
    ...{ source: 'model', degraded: null, servedAgainS: 3_600, explored: null, moment: null },
    items: [
      { item: 'a', score: 2 },
      { item: 'b', score: 1 },
    ],
    ...{ answer: null, input: null, features: undefined },
    ...changes,
  };
}

/** The same as a line of the log has it. */
export function recordWith(changes: Partial<ServedRecord> = {}): ServedRecord {
  const { items: _, features: __, rollout: ___, ...rest } = answerOf();
  return {
    ...{ ...rest, format: 1, rollout: null, features: null, answer: null, input: null },
    items: [
      ['a', 2],
      ['b', 1],
    ],
    ...changes,
  };
}
