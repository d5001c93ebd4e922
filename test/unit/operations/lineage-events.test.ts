import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { datasetsOf } from '../../../src/operations/lineage/datasets.ts';
import { runEventOf } from '../../../src/operations/lineage/run-events.ts';
import type { StoredRun } from '../../../src/storage/postgres/lineage-read.ts';
import { LINEAGE_JOBS } from '../../../src/storage/postgres/lineage-runs.ts';
import { catalog } from '../../support/catalog/index.ts';
import {
  facetsOf,
  hasPublished,
  OwnRunEvent,
  PUBLISHED_TITLE,
  PublishedSchemas,
} from '../../support/node/open-lineage.ts';

const datasets = datasetsOf(catalog, 'postgres://user:secret@db.example:6543/shop');
const count = fc.nat(1_000_000);
const state = fc.constantFrom('RUNNING', 'COMPLETE', 'FAIL', 'ABORT');
const type = fc.constantFrom(...catalog.events.map((event) => event.type), 'no.longer.declared.v1');
const instant = fc.integer({ min: 0, max: 4_000_000_000_000 }).map((at) => new Date(at).toISOString());
const snapshot = fc.record({
  table: fc.constantFrom('purchases', 'dropped'),
  firstSeq: count,
  lastSeq: count,
  asOf: instant,
  rows: count,
  keys: count,
  from: instant,
  to: instant,
  sources: fc.array(fc.record({ source: fc.string(), type, events: count }), { maxLength: 3 }),
});
const assertions = fc.array(
  fc.record({ assertion: fc.constant('beats_popularity'), success: fc.boolean() }),
  {
    maxLength: 2,
  },
);
const detail = fc.record(
  {
    sources: fc.array(fc.record({ source: fc.string(), type, events: count }), { maxLength: 4 }),
    snapshot,
    assertions,
    sha256: fc.constant('ab'),
    error: fc.string({ minLength: 1 }),
  },
  { requiredKeys: [] },
);
const counts = fc.dictionary(
  fc.constantFrom(
    'received',
    'stored',
    'duplicates',
    'events',
    'entities',
    'predictions',
    'failures',
    'quarantined:unknown_event_type',
    'quarantined:quantity_not_positive',
  ),
  count,
);

/** Any run as the store may give it. */
const storedRun: fc.Arbitrary<StoredRun> = fc
  .record({
    id: fc.uuid(),
    job: fc.constantFrom(...LINEAGE_JOBS),
    model: fc.constantFrom('ranker', 'dropped'),
    state,
    started_at: instant,
    ended_at: instant,
    counts,
    detail,
  })
  .map(({ model, job, ended_at, ...run }) => ({
    ...run,
    job,
    subject: job === 'ingest' || job === 'fold' ? '' : model,
    version: job === 'ingest' || job === 'fold' ? '' : '0123456789ab',
    ended_at: run.state === 'RUNNING' ? null : ended_at,
    due_at: ended_at,
    window_from: null,
    window_to: null,
    first_seq: null,
    last_seq: null,
  }));
const eventOf = (run: StoredRun, isEnd: boolean) =>
  runEventOf({ cursor: { tx: 1, seq: 1 }, isEnd, run }, catalog, datasets);
const row = fc.tuple(storedRun, fc.boolean());

describe('run events', () => {
  it("match this project's schema of OpenLineage, for any run", () => {
    fc.assert(
      fc.property(row, ([run, isEnd]) => {
        const event = eventOf(run, isEnd);
        expect(OwnRunEvent.safeParse(JSON.parse(JSON.stringify(event))).error).toBeUndefined();
        expect(event.eventType).toBe(isEnd && run.state !== 'RUNNING' ? run.state : 'START');
      }),
    );
  });

  it('name tables as OpenLineage does, without the password', () => {
    const text = JSON.stringify([...datasets]);
    expect(text).not.toContain('secret');
    expect(datasets.get('purchases')).toMatchObject({
      namespace: 'postgres://db.example:6543',
      name: 'shop.public.purchases',
    });
    expect(datasets.get('purchases')?.fields).toContainEqual({ name: 'unit_price', type: 'numeric(12, 4)' });
    expect(datasets.get('features.customer')?.fields.map(({ name }) => name)).toContain('purchases_30d');
    expect(datasets.get('event-types.shop.purchase.v1')?.fields).toContainEqual({
      name: 'quantity',
      type: 'integer',
    });
  });

  it('contain the stored events of each type and the broken rules at the end', () => {
    const run = fc.sample(storedRun, 1)[0];
    if (run === undefined) throw new Error('There is no run.');
    const ended = eventOf(
      {
        ...run,
        job: 'ingest',
        subject: '',
        state: 'COMPLETE',
        ended_at: run.due_at,
        counts: { received: 5, stored: 3, duplicates: 1, 'quarantined:quantity_not_positive': 2 },
        detail: { sources: [{ source: '/a', type: 'shop.purchase.v1', events: 3 }] },
      },
      true,
    );
    const purchases = ended.inputs.find(({ name }) => name === 'event-types.shop.purchase.v1');
    expect(purchases?.inputFacets).toMatchObject({
      dataQualityMetrics: { rowCount: 3 },
      dataQualityAssertions: {
        assertions: [
          { assertion: 'quantity_not_positive', success: false },
          { assertion: 'unique_source_and_id', success: false },
        ],
      },
    });
    const rows = ended.outputs.flatMap(({ name, outputFacets }) =>
      outputFacets?.['outputStatistics'] === undefined
        ? []
        : [[name, outputFacets['outputStatistics']['rowCount']]],
    );
    expect(rows).toEqual([
      ['shop.millrace.events', 3],
      ['shop.millrace.quarantine', 2],
    ]);
  });
});

describe.skipIf(!hasPublished)(`run events by ${PUBLISHED_TITLE}`, () => {
  it('are valid, and so is each published facet', () => {
    const published = new PublishedSchemas();
    fc.assert(
      fc.property(row, ([run, isEnd]) => {
        expect(published.faults(JSON.parse(JSON.stringify(eventOf(run, isEnd))))).toEqual([]);
      }),
    );
    const wrong = { ...eventOf(fc.sample(storedRun, 1)[0] as StoredRun, false), eventType: 'BEGIN' };
    expect(published.faults(wrong)).not.toEqual([]);
    expect(published.faults({ ...wrong, eventType: 'START', run: { runId: 'none' } })).not.toEqual([]);
  });

  it('have facets of the published versions', () => {
    const published = new PublishedSchemas();
    const events = fc.sample(row, 200).map(([run, isEnd]) => eventOf(run, isEnd));
    const checked = [...new Set(events.flatMap(facetsOf).map(({ _schemaURL: url }) => url))].filter((url) =>
      published.has(url),
    );
    const names = checked.map((url) => url.split('#/$defs/')[1]);
    expect(names).toEqual(
      expect.arrayContaining([
        'SchemaDatasetFacet',
        'OutputStatisticsOutputDatasetFacet',
        'JobTypeJobFacet',
        'ErrorMessageRunFacet',
      ]),
    );
  });
});
