import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { messageOf } from '../../../../deploy/kafka-rest-bridge/received.ts';
import type { EventsMessage } from '../../../../queues/events/message.ts';
import { eventOf } from '../../../../src/pipeline/kafka/binding.ts';
import { kafkaConfig } from '../../../../src/pipeline/kafka/config.ts';
import { sinkRecord } from '../../../../src/pipeline/kafka/sink.ts';
import { pump, type SourcePorts } from '../../../../src/pipeline/kafka/source.ts';
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

  it('is quarantined as it came if its value, or a header that is read, is not UTF-8', () => {
    const bytes = (text: string) => Buffer.from(text, 'latin1').toString('base64');
    const valueBase64 = bytes('{"id":"\xe9"}');
    const id = { key: 'ce_id', value: '', valueBase64: bytes('\xe9') };
    const refused = (raw: object, detail: string) => ({
      refused: { raw, reason: 'not_utf8', pointer: '', detail },
    });
    const at = { topic: 't', partition: 0, offset: 9, key: null };
    expect(eventOf(record({ offset: 9, value: '', valueBase64 }))).toEqual(
      refused({ kafka: { ...at, headers: [] }, valueBase64 }, 'The value of the record is not UTF-8.'),
    );
    const headers = [header('ce_specversion', '1.0'), id];
    expect(eventOf(record({ offset: 9, value: '1', headers }))).toEqual(
      refused({ kafka: { ...at, headers }, value: '1' }, 'The value of the header "ce_id" is not UTF-8.'),
    );
    // JSON in binary mode.
    const json = [header('ce_specversion', '1.0'), header('content-type', 'application/json')];
    expect(eventOf(record({ value: '', valueBase64, headers: json }))).toMatchObject({
      refused: { reason: 'not_utf8' },
    });
  });

  it('may have any bytes where no event is read from, and as data of another type', () => {
    const bytes = Buffer.from([0x00, 0xff]).toString('base64');
    const other = [
      { key: 'trace', value: '', valueBase64: bytes },
      { key: '', value: 'x', keyBase64: bytes },
    ];
    const value = JSON.stringify(event('1'));
    expect(eventOf(record({ key: '', keyBase64: bytes, value, headers: other }))).toEqual({
      raw: event('1'),
    });
    const { data: _, ...attributes } = event('1');
    const headers = [
      ...Object.entries(attributes).map(([name, text]) => header(`ce_${name}`, text)),
      header('content-type', 'application/x-protobuf'),
    ];
    expect(eventOf(record({ value: '', valueBase64: bytes, headers }))).toEqual({
      raw: { ...attributes, datacontenttype: 'application/x-protobuf', data_base64: bytes },
    });
  });

  it('keeps whatever bytes a producer wrote, through the bridge and the binding', () => {
    const anyBytes = fc.option(fc.uint8Array({ maxLength: 12 }), { nil: null });
    fc.assert(
      fc.property(anyBytes, fc.uint8Array({ maxLength: 4 }), (value, attribute) => {
        const headers: [Buffer, Uint8Array][] = [
          [Buffer.from('ce_specversion'), Buffer.from('1.0')],
          [Buffer.from('ce_id'), attribute],
          [Buffer.from('content-type'), Buffer.from('text/plain')],
        ];
        const at = { topic: 't', partition: 0, offset: 3, timestamp: 0 };
        const read = eventOf(messageOf(at, { key: null, value, headers }));
        const kept = z
          .looseObject({
            id: z.string().optional(),
            data: z.string().optional(),
            data_base64: z.string().optional(),
            value: z.string().nullish(),
            valueBase64: z.string().optional(),
            kafka: z
              .object({
                headers: z.array(z.object({ value: z.string(), valueBase64: z.string().optional() })),
              })
              .optional(),
          })
          .parse('raw' in read ? read.raw : read.refused.raw);
        const bytesOf = (text: string | null | undefined, base64: string | undefined) =>
          base64 === undefined ? Buffer.from(text ?? '') : Buffer.from(base64, 'base64');
        const id = kept.kafka?.headers[1] ?? { value: kept.id, valueBase64: undefined };
        expect([...bytesOf(id.value, id.valueBase64)]).toEqual([...attribute]);
        const content = bytesOf(kept.data ?? kept.value, kept.data_base64 ?? kept.valueBase64);
        expect([...content]).toEqual([...(value ?? [])]);
      }),
    );
  });

  it('is kept whole up to the size of an event, and as an excerpt beyond', () => {
    const value = 'x'.repeat(65_536);
    expect(eventOf(record({ value }))).toMatchObject({ refused: { raw: { value } } });
    const large = eventOf(record({ value: '"'.repeat(100_000), headers: [header('x', 'y'.repeat(50_000))] }));
    if (!('refused' in large)) throw new Error('The record is no event.');
    expect(large.refused.raw).toMatchObject({
      kafka: { topic: 't', partition: 0, offset: 0 },
      bytes: 250_105,
    });
    expect(JSON.stringify(large.refused.raw).length).toBeLessThan(20_000);
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
  /** What happens to the topic once, when a step has come so far. */
  meanwhile: { readonly at: 'fetch' | 'stored'; readonly happens: () => void } | undefined;

  /** The id that the server gives the topic, and the one that the reader has stored. */
  topicId: string | undefined = 'A';
  known: string | undefined;

  add(value: string): void {
    this.log.push(record({ offset: this.log.length, value, topicId: this.topicId }));
  }

  readonly ports: SourcePorts = {
    at: { topic: 't', partition: 0 },
    types: catalog.eventTypes,
    now: () => Date.parse('2026-11-02T00:00:00Z'),
    committed: async () => this.committed,
    earliest: async () => this.begin,
    fetch: async (offset) => {
      this.#reach('fetch');
      if (offset < this.begin || offset > this.log.length) return null;
      return this.log.slice(offset, offset + 10);
    },
    store: async ({ accepted, refused }: EventsMessage) => {
      this.#step('store');
      if (accepted.some(({ id }) => id === this.poison)) throw new Error('A defect.');
      const known = accepted.filter(({ id }) => this.stored.has(id));
      for (const { id } of accepted) this.stored.add(id);
      this.#reach('stored');
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
    knownTopic: () => this.known,
    learnTopic: (id) => {
      this.known = id;
    },
    recreated: (from, to) => void this.told.push(`again ${from}-${to}`),
  };

  #step(name: string): void {
    if (this.failing !== name) return;
    this.failing = undefined;
    throw new Error('down');
  }

  #reach(at: 'fetch' | 'stored'): void {
    const { meanwhile } = this;
    if (meanwhile?.at !== at) return;
    this.meanwhile = undefined;
    meanwhile.happens();
  }

  /** The topic is deleted, which drops the committed offsets with it, and created again. */
  recreate(...values: string[]): void {
    this.log.length = 0;
    this.begin = 0;
    this.committed = undefined;
    this.topicId = this.topicId === undefined ? undefined : `${this.topicId}'`;
    for (const value of values) this.add(value);
  }

  /** Reads to the end, step by step, as the object does. */
  async readAll(): Promise<void> {
    for (let tries = 0; tries < 20; tries += 1) {
      if (this.committed === this.log.length && this.known === this.topicId) return;
      await pump(this.ports).catch(() => undefined);
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
    await expect(pump(world.ports)).rejects.toThrow('down');
    expect(world.committed).toBeUndefined();
    world.failing = 'relay';
    await expect(pump(world.ports)).rejects.toThrow('down');
    expect(world.committed).toBeUndefined();
    await pump(world.ports);
    expect(world.committed).toBe(1);
  });

  it('passes records that cannot be stored to the queue, while all dependencies are available', async () => {
    const world = new World();
    for (let n = 0; n < 25; n += 1) world.add(JSON.stringify(event(String(n))));
    world.poison = '13';
    world.committed = 10;
    for (const failures of [0, 1, 2]) await expect(pump(world.ports, failures)).rejects.toThrow('defect');
    await pump(world.ports, 3);
    expect(world.queued.size).toBe(10);
    expect(world.committed).toBe(20);
    world.failing = 'store';
    await expect(pump(world.ports, 99)).rejects.toThrow('down');
  });

  it('continues at its new beginning, and reports the lost records', async () => {
    const world = new World();
    for (let n = 0; n < 20; n += 1) world.add(JSON.stringify(event(String(n))));
    world.committed = 3;
    world.begin = 12;
    await world.readAll();
    expect(world.told).toEqual(['3-12']);
    expect(world.stored.size).toBe(8);
  });

  it.each([
    { count: 5, at: undefined },
    { count: 30, at: undefined },
    { count: 5, at: 'fetch' as const },
    { count: 30, at: 'fetch' as const },
    { count: 5, at: 'stored' as const },
    { count: 30, at: 'stored' as const },
  ])(
    'is read from its beginning after its topic was created again, with $count records, at $at',
    async ({ count, at }) => {
      const world = new World();
      for (let n = 0; n < 12; n += 1) world.add(JSON.stringify(event(`old${n}`)));
      await world.readAll();
      const happens = () =>
        world.recreate(...Array.from({ length: count }, (_, n) => JSON.stringify(event(`new${n}`))));
      if (at === undefined) happens();
      else {
        world.meanwhile = { at, happens };
        if (at === 'stored') world.add(JSON.stringify(event('old12')));
        await pump(world.ports).catch(() => undefined);
      }
      await world.readAll();
      for (let n = 0; n < count; n += 1) expect(world.stored).toContain(`new${n}`);
      // The id shows it to a step that began with an offset of the topic before.
      expect(world.told).toEqual(at === 'fetch' ? ['again 12-0'] : []);
    },
  );

  it.each([
    { count: 5, committed: 12, begin: 0 },
    { count: 30, committed: 12, begin: 0 },
    { count: 12, committed: 12, begin: 0 },
    { count: 30, committed: 12, begin: 4 },
    { count: 5, committed: 12, begin: 0, failing: 'commit' },
    { count: 30, committed: 12, begin: 0, failing: 'committed' },
  ])(
    'is read from its beginning where the group has an offset of the topic before: $count records, $failing',
    async ({ count, committed, begin, failing }) => {
      const world = new World();
      for (let n = 0; n < 12; n += 1) world.add(JSON.stringify(event(`old${n}`)));
      await world.readAll();
      world.recreate(...Array.from({ length: count }, (_, n) => JSON.stringify(event(`new${n}`))));
      world.begin = begin;
      world.committed = committed;
      world.failing = failing;
      // Where as many records are there as were committed, the next one tells.
      if (count === committed) {
        await pump(world.ports);
        world.add(JSON.stringify(event('next')));
      }
      await world.readAll();
      for (let n = begin; n < count; n += 1) expect(world.stored).toContain(`new${n}`);
      expect(new Set(world.told)).toEqual(new Set([`again ${committed}-${begin}`]));
    },
  );

  it('of a topic whose id the server does not tell, or that has none before, goes on where it was', async () => {
    const world = new World();
    world.topicId = undefined;
    for (let n = 0; n < 12; n += 1) world.add(JSON.stringify(event(`old${n}`)));
    await world.readAll();
    world.topicId = 'A';
    world.add(JSON.stringify(event('next')));
    await world.readAll();
    expect([world.committed, world.told, world.stored.size]).toEqual([13, [], 13]);
  });

  it('that ends before what its group has committed names the command that sets its position', async () => {
    const world = new World();
    world.add(JSON.stringify(event('1')));
    world.committed = 7;
    await expect(pump(world.ports)).rejects.toThrow(
      /ends before offset 7.*`npm run cli -- kafka-seek --topic t --partition 0 --to earliest`/,
    );
    expect(world.committed).toBe(7);
    expect(world.stored.size).toBe(0);
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
