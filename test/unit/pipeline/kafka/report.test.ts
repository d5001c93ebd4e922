import { describe, expect, it } from 'vitest';
import { pipelineMetricsOf } from '../../../../src/operations/pipeline-metrics.ts';
import { type PartitionAnswers, reportOf } from '../../../../src/pipeline/kafka/report.ts';

const at = { topic: 't', partition: 0 };
const offset = (value: number | undefined) => ({ offset: value });
const whole = {
  committed: offset(4),
  earliest: offset(2),
  latest: offset(9),
  reader: { failures: 1, lastError: 'x' },
};
const reported = (over: PartitionAnswers = {}) => reportOf(at, { ...whole, ...over });

describe('the report on a partition', () => {
  it('has the lag from the first record that is neither stored nor dropped', () => {
    expect(reported()).toEqual({
      ...at,
      committed: 4,
      latest: 9,
      lag: 5,
      failures: 1,
      lastError: 'x',
      unanswered: [],
    });
    expect(reported({ committed: offset(undefined) })).toMatchObject({
      committed: null,
      lag: 7,
      unanswered: [],
    });
    expect(reported({ earliest: offset(6) })).toMatchObject({ lag: 3 });
    // An offset of a deleted topic.
    expect(reported({ committed: offset(50) })).toMatchObject({ committed: 50, lag: 7 });
  });

  it('has null for what was not answered, and names it', () => {
    expect(reported({ committed: undefined })).toMatchObject({
      lag: null,
      latest: 9,
      unanswered: ['committed'],
    });
    expect(reported({ earliest: undefined, reader: undefined })).toMatchObject({
      committed: 4,
      lag: null,
      failures: null,
      unanswered: ['earliest', 'reader'],
    });
  });

  it('gives metrics no value for what was not answered', () => {
    const valuesOf = (over: PartitionAnswers) =>
      Object.fromEntries(
        pipelineMetricsOf({ feed: undefined, kafka: [reported(over)] }).map(({ name, series }) => [
          name,
          series.map(({ value }) => value),
        ]),
      );
    expect(valuesOf({ reader: undefined })).toMatchObject({
      millrace_kafka_up: [1],
      millrace_kafka_lag: [5],
      millrace_kafka_failures: [],
    });
    expect(valuesOf({ latest: undefined })).toMatchObject({
      millrace_kafka_up: [0],
      millrace_kafka_lag: [],
      millrace_kafka_failures: [1],
    });
  });
});
