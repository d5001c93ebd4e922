import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventsMessage } from '../../../../queues/events/message.ts';
import { eventOf } from '../../../../src/pipeline/kafka/binding.ts';
import { kafkaConfig } from '../../../../src/pipeline/kafka/config.ts';
import { sinkRecord } from '../../../../src/pipeline/kafka/sink.ts';
import { beginningOf, pump, type SourcePorts } from '../../../../src/pipeline/kafka/source.ts';
import type { KafkaRecord } from '../../../../src/storage/kafka.ts';
import { catalog } from '../../../support/catalog/index.ts';

const record = (over: Partial<KafkaRecord> = {}): KafkaRecord => ({
  topic: 't',
  partition: 0,
  offset: 0,
  key: null,
  value: null,
  headers: [],
  ...over,
});
const event = (id: string) => ({
  specversion: '1.0',
  id,
  source: '/kafka',
  type: 'shop.purchase.v1',
  time: '2026-11-01T00:00:00Z',
  data: { invoice: '1', sku: 'A', quantity: 1, unitPrice: 1, country: 'France' },
});
const header = (key: string, value: string) => ({ key, value });

describe('a record', () => {
  it('is the event in its value, in structured mode', () => {
    const value = JSON.stringify(event('1'));
    const type = header('Content-Type', 'application/cloudevents+json; charset=UTF-8');
    expect(eventOf(record({ value, headers: [type] }))).toEqual({ raw: event('1') });
    expect(eventOf(record({ value }))).toEqual({ raw: event('1') });
  });

  it('is the event of its headers, in binary mode', () => {
    const { data, ...attributes } = event('1');
    const headers = [
      ...Object.entries(attributes).map(([name, value]) => header(`ce_${name}`, value)),
      header('content-type', 'application/json'),
    ];
    const value = JSON.stringify(data);
    expect(eventOf(record({ value, headers }))).toEqual({
      raw: { ...event('1'), datacontenttype: 'application/json' },
    });
  });

  it('has data of another content type as text, and is judged by its own id', () => {
    const { data: _, ...attributes } = event('1');
    const headers = [
      ...Object.entries(attributes).map(([name, value]) => header(`ce_${name}`, value)),
      header('content-type', 'text/plain'),
    ];
    expect(eventOf(record({ value: 'hello', headers }))).toEqual({
      raw: { ...attributes, datacontenttype: 'text/plain', data: 'hello' },
    });
  });

  it('shows headers of no attribute under their own names', () => {
    const headers = [header('ce_specversion', '1.0'), header('ce_my-name', 'x'), header('ce_data', 'y')];
    expect(eventOf(record({ headers }))).toEqual({
      raw: { specversion: '1.0', 'ce_my-name': 'x', ce_data: 'y' },
    });
  });

  it('is read in the mode that its content type names, beside headers of the other mode', () => {
    const value = JSON.stringify(event('1'));
    const headers = [
      header('content-type', 'application/cloudevents+json'),
      header('ce_specversion', '1.0'),
      header('ce_id', 'other'),
    ];
    expect(eventOf(record({ value, headers }))).toEqual({ raw: event('1') });
    const avro = [header('content-type', 'application/cloudevents+avro'), header('ce_specversion', '1.0')];
    expect(eventOf(record({ value, headers: avro }))).toMatchObject({
      refused: { reason: 'not_a_cloud_event' },
    });
  });

  it('is a tombstone if it has a key and no value, and an event without data if it has headers', () => {
    expect(eventOf(record({ key: 'k' }))).toMatchObject({
      refused: { reason: 'tombstone', raw: { kafka: { key: 'k' }, value: null } },
    });
    const headers = [header('ce_specversion', '1.0'), header('ce_id', '1')];
    expect(eventOf(record({ headers }))).toEqual({ raw: { specversion: '1.0', id: '1' } });
  });

  it('is quarantined with its content if it is not an event, and never throws', () => {
    fc.assert(
      fc.property(
        fc.option(fc.oneof(fc.string(), fc.json()), { nil: null }),
        fc.array(
          fc.record({
            key: fc.constantFrom('content-type', 'ce_specversion', 'ce_id', 'x'),
            value: fc.string(),
          }),
        ),
        (value, headers) => {
          const read = eventOf(record({ offset: 7, value, headers }));
          if ('raw' in read) return;
          expect(['not_a_cloud_event', 'malformed_json', 'tombstone']).toContain(read.refused.reason);
          expect(read.refused.raw).toMatchObject({ kafka: { topic: 't', partition: 0, offset: 7 } });
        },
      ),
    );
    const deep = `{"specversion":${'['.repeat(50_000)}${']'.repeat(50_000)}}`;
    expect(eventOf(record({ value: deep }))).toMatchObject({ refused: { reason: 'malformed_json' } });
    const other = [header('content-type', 'application/json')];
    expect(eventOf(record({ value: JSON.stringify(event('1')), headers: other }))).toMatchObject({
      refused: { reason: 'not_a_cloud_event' },
    });
  });
});

/** A partition, and a database that knows its events; each call may fail, before or after what it does. */
class World {
  readonly log: KafkaRecord[] = [];
  begin = 0;
  committed: number | undefined;
  readonly stored = new Set<string>();
  readonly refused: unknown[] = [];
  readonly told: string[] = [];
  readonly queued = new Set<string>();
  /** Nothing is away, and yet it cannot be stored. */
  poison: string | undefined;
  failing: string | undefined;

  add(value: string): void {
    this.log.push(record({ offset: this.log.length, value }));
  }

  readonly ports: SourcePorts = {
    types: catalog.eventTypes,
    now: () => Date.parse('2026-11-02T00:00:00Z'),
    committed: async () => this.committed,
    earliest: async () => this.begin,
    fetch: async (offset) =>
      offset < this.begin || offset > this.log.length ? null : this.log.slice(offset, offset + 10),
    store: async ({ accepted, refused }: EventsMessage) => {
      this.#step('store');
      if (accepted.some(({ id }) => id === this.poison)) throw new Error('A defect.');
      const known = accepted.filter(({ id }) => this.stored.has(id));
      for (const { id } of accepted) this.stored.add(id);
      this.refused.push(...refused);
      this.#step('stored');
      return { duplicates: known, conflicts: [], refused: [] };
    },
    enqueue: async ({ accepted }) => {
      for (const { id } of accepted) this.queued.add(id);
    },
    isOutage: (error) => error instanceof Error && error.message === 'down',
    relay: async () => this.#step('relay'),
    commit: async (offset) => {
      this.#step('commit');
      this.committed = offset;
      this.#step('committed');
    },
    lost: (from, to) => void this.told.push(`${from}-${to}`),
  };

  #step(name: string): void {
    if (this.failing !== name) return;
    this.failing = undefined;
    throw new Error('down');
  }

  /** Reads to the end, beginning anew after each failure as the object does. */
  async readAll(): Promise<void> {
    for (let tries = 0; tries < 20; tries += 1) {
      try {
        let next = await beginningOf(this.ports);
        for (;;) {
          const step = await pump(next, this.ports);
          if (step.records === 0 && step.next === next) return;
          next = step.next;
        }
      } catch {}
    }
    throw new Error('It never came to an end.');
  }
}

describe('a partition', () => {
  it.each([undefined, 'store', 'stored', 'relay', 'commit', 'committed'])(
    'is stored completely after a failure at: %s',
    async (failing) => {
      const world = new World();
      for (let n = 0; n < 35; n += 1) world.add(n % 7 === 3 ? 'no event' : JSON.stringify(event(String(n))));
      world.failing = failing;
      await world.readAll();
      expect(world.stored.size).toBe(30);
      expect(world.committed).toBe(35);
      const distinct = new Set(world.refused.map((one) => JSON.stringify(one)));
      expect(distinct.size).toBe(5);
    },
  );

  it('is committed only after it is stored', async () => {
    const world = new World();
    world.add(JSON.stringify(event('1')));
    world.failing = 'store';
    await expect(pump(0, world.ports)).rejects.toThrow('down');
    expect(world.committed).toBeUndefined();
    world.failing = 'relay';
    await expect(pump(0, world.ports)).rejects.toThrow('down');
    expect(world.committed).toBeUndefined();
    expect(await pump(0, world.ports)).toEqual({ next: 1, records: 1 });
    expect(world.committed).toBe(1);
  });

  it('passes records that cannot be stored to the queue, while all dependencies are available', async () => {
    const world = new World();
    for (let n = 0; n < 25; n += 1) world.add(JSON.stringify(event(String(n))));
    world.poison = '13';
    for (const failures of [0, 1, 2]) await expect(pump(10, world.ports, failures)).rejects.toThrow('defect');
    expect(await pump(10, world.ports, 3)).toEqual({ next: 20, records: 10 });
    expect(world.queued.size).toBe(10);
    expect(world.committed).toBe(20);
    world.failing = 'store';
    await expect(pump(20, world.ports, 99)).rejects.toThrow('down');
  });

  it('continues at its new beginning, and reports the lost records', async () => {
    const world = new World();
    for (let n = 0; n < 20; n += 1) world.add(JSON.stringify(event(String(n))));
    world.committed = 3;
    world.begin = 12;
    await world.readAll();
    expect(world.told).toEqual(['3-12']);
    expect(world.stored.size).toBe(8);
    await expect(pump(21, world.ports)).rejects.toThrow('ends before');
  });
});

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
