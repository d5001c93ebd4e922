import { describe, expect, it } from 'vitest';
import type { EventsMessage } from '../../../../queues/events/message.ts';
import { pump, type SourcePorts } from '../../../../src/pipeline/kafka/source.ts';
import type { KafkaRecord } from '../../../../src/storage/kafka.ts';
import { catalog } from '../../../support/catalog/index.ts';
import { event, record } from './record.ts';

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
