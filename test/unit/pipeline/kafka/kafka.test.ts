import { describe, expect, it } from 'vitest';
import { eventOf } from '../../../../src/pipeline/kafka/binding.ts';
import { kafkaConfig } from '../../../../src/pipeline/kafka/config.ts';
import { sinkRecord } from '../../../../src/pipeline/kafka/sink.ts';
import { record } from './record.ts';

it('writes a change as a CloudEvent, keyed by its entity', () => {
  const told = { change: 7, type: 'row', entities: ['product:A', 'customer:1'], token: 'e.1' };
  const { value, ...rest } = sinkRecord('out', told);
  expect(rest).toMatchObject({ topic: 'out', key: 'product:A' });
  expect(eventOf(record({ ...rest, value }))).toEqual({
    raw: {
      specversion: '1.0',
      id: '7',
      source: '/millrace/changes',
      type: 'millrace.change.v1',
      subject: 'product:A',
      datacontenttype: 'application/json',
      data: told,
    },
  });
});

describe('the configuration', () => {
  const whole = {
    KAFKA_REST_URL: 'http://127.0.0.1:8081',
    KAFKA_REST_USERNAME: 'u',
    KAFKA_REST_PASSWORD: 'p',
    KAFKA_SOURCE_TOPICS: 'a, b',
  };
  it('is complete or absent', () => {
    expect(kafkaConfig(whole)).toMatchObject({ group: 'millrace', sourceTopics: ['a', 'b'] });
    expect(kafkaConfig({ ...whole, KAFKA_SOURCE_TOPICS: '' })).toBeUndefined();
    expect(kafkaConfig({})).toBeUndefined();
    expect(() => kafkaConfig({ KAFKA_SOURCE_TOPICS: 'a', KAFKA_REST_USERNAME: 'u' })).toThrow(
      'KAFKA_REST_URL, KAFKA_REST_PASSWORD',
    );
    expect(() => kafkaConfig({ ...whole, KAFKA_SOURCE_TOPICS: 'a/b' })).toThrow('KAFKA_SOURCE_TOPICS');
    expect(kafkaConfig({ ...whole, KAFKA_SOURCE_TOPICS: '', KAFKA_SINK_TOPIC: 'c' })).toMatchObject({
      sourceTopics: [],
      sinkTopic: 'c',
    });
    expect(() => kafkaConfig({ ...whole, KAFKA_SINK_TOPIC: 'a' })).toThrow('KAFKA_SINK_TOPIC');
    expect(() => kafkaConfig({ ...whole, KAFKA_REST_URL: 'nowhere' })).toThrow('KAFKA_REST_URL');
  });
});
