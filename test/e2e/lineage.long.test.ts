import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rankerBundle } from '../support/models/ranker.ts';
import {
  hasPublished,
  OwnRunEvent,
  PUBLISHED_TITLE,
  PublishedSchemas,
} from '../support/node/open-lineage.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const AUTHORIZED = { authorization: `Bearer ${KEY}` };
const bundle = rankerBundle();
const { manifest } = bundle;
const TRAINING = '5b1f6a34-0f0e-4a53-9d2b-9a4c8e1f7d10';

interface Node {
  id: string;
  kind: string;
  attributes: Record<string, unknown>;
}
interface Graph {
  root: string;
  nodes: Node[];
  edges: { from: string; to: string; relation: string }[];
  truncated: { node: string; kind: string; shown: number; total: number | null }[];
}
interface OpenLineageEvent {
  eventType: string;
  eventTime: string;
  run: { runId: string };
  job: { name: string };
  inputs: { name: string; inputFacets?: Record<string, Record<string, unknown>> }[];
  outputs: { name: string; outputFacets?: Record<string, Record<string, unknown>> }[];
}

let stack: Stack;
let predictionId = '';
beforeAll(async () => {
  stack = await startStack();
  const published = await stack.caller.ask('PUT', '/v1/admin/models/ranker/champion', { json: bundle });
  expect(published.status).toBe(201);
  const events = [
    purchaseOf('1', 'alice', '10001A'),
    purchaseOf('2', 'alice', '10002B'),
    purchaseOf('3', 'bob', '10001A'),
    purchaseOf('3', 'bob', '10001A'),
    purchaseOf('4', 'bob', '10001A', { quantity: 0 }),
  ];
  const sent = await stack.caller.send(events, { wait: true });
  expect(sent).toMatchObject({ accepted: 3, duplicates: 1, quarantined: 1 });
  const again = await stack.caller.send([purchaseOf('1', 'alice', '10001A')], { wait: true });
  expect(again).toMatchObject({ accepted: 0, duplicates: 1 });
  await eventually(
    () => recommended(),
    (body) => body.source === 'model' && body.items.length > 0,
  );
  predictionId = (await recommended()).predictionId;
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

function purchaseOf(id: string, customerId: string, sku: string, data: object = {}) {
  return {
    ...{ specversion: '1.0', id, source: '/tills/1', type: 'shop.purchase.v1' },
    data: { invoice: '1', sku, quantity: 2, unitPrice: 2.5, customerId, country: 'UK', ...data },
  };
}

async function recommended() {
  const path = '/v1/customers/alice/recommendations';
  const { text, cache } = await stack.caller.ask('GET', path, { consistency: 'strong' });
  const body = JSON.parse(text) as { source: string; items: unknown[]; predictionId: string };
  return { ...body, cache };
}

async function get(path: string, headers: Record<string, string> = AUTHORIZED) {
  const response = await stack.fetch(path, { headers });
  return { status: response.status, json: (await response.json()) as unknown };
}
/** Waits for the lineage that the worker records after its answer. */
async function walk(path: string, check: (graph: Graph) => boolean = () => true): Promise<Graph> {
  const { json } = await eventually(
    () => get(`/v1/lineage/${path}`),
    ({ status, json: graph }) => status === 200 && check(graph as Graph),
  );
  return json as Graph;
}
async function train(body: object, id = TRAINING) {
  const asked = { json: body };
  const { status, json } = await stack.caller.ask('PUT', `/v1/admin/models/ranker/trainings/${id}`, asked);
  return { status, json };
}
async function runEvents(check: (events: OpenLineageEvent[]) => boolean): Promise<OpenLineageEvent[]> {
  const { json } = await eventually(
    () => get('/v1/lineage/events?limit=200'),
    ({ json: page }) => check((page as { events: OpenLineageEvent[] }).events),
  );
  return (json as { events: OpenLineageEvent[] }).events;
}
const kinds = ({ nodes }: Graph) => [...new Set(nodes.map(({ kind }) => kind))].sort();
const relations = ({ edges }: Graph, from: RegExp, to: RegExp) =>
  edges.filter((edge) => from.test(edge.from) && to.test(edge.to)).map(({ relation }) => relation);

describe('the lineage of a prediction', () => {
  it('leads to the version, the features that it used, their events and the sources of these', async () => {
    const graph = await walk(`prediction/${predictionId}?direction=up`);
    const model = graph.nodes.find(({ kind }) => kind === 'model');
    expect(model).toMatchObject({
      id: `model:${manifest.version}`,
      attributes: { name: 'ranker', sha256: manifest.model.sha256, isChampion: true },
    });
    const feature = graph.nodes.find(({ kind }) => kind === 'feature');
    expect(feature).toMatchObject({
      id: 'feature:customer:alice',
      attributes: { values: { purchases_30d: 2, items: [{ count: 1 }, { count: 1 }] } },
    });
    const events = graph.nodes.filter(({ kind }) => kind === 'event');
    expect(events.map(({ attributes }) => attributes['id']).sort()).toEqual(['1', '2']);
    expect(graph.nodes.map(({ id }) => id)).toContain('source:/tills/1');
    expect(relations(graph, /^event/, /^feature/)).toEqual(['folded-into', 'folded-into']);
    expect(relations(graph, /^source/, /^event/)).toEqual(['sent', 'sent']);
    expect(relations(graph, /^feature/, /^prediction/)).toEqual(['used-by']);
  });

  it('is the lineage of the computation while the answer is cached', async () => {
    const again = await recommended();
    expect(again.cache).toContain('; hit');
    expect(again.predictionId).toBe(predictionId);
  });

  it('exists for scores and for tensors, too', async () => {
    const post = async (body: object) => {
      const { json } = await stack.caller.ask('POST', '/v1/predictions/ranker', { json: body });
      return String(json['predictionId']);
    };
    const scored = await walk(`prediction/${await post({ key: 'bob', items: ['10001A'] })}?direction=up`);
    expect(scored.nodes[0]?.attributes).toMatchObject({ entity: 'customer', key: 'bob', items: 1 });
    const [row = []] = bundle.golden.inputs['features'] ?? [];
    const tensor = { name: 'features', datatype: 'FP32', shape: [1, row.length], data: row };
    const ran = await walk(`prediction/${await post({ inputs: [tensor] })}?direction=up`);
    expect(ran.nodes[0]?.attributes).toMatchObject({ source: 'tensor', items: 1 });
    expect(kinds(ran)).not.toContain('feature');
    expect(kinds(ran)).toContain('model');
  });
});

describe('a training', () => {
  it('is a run with one start and one end, and connects a prediction with its training set', async () => {
    expect(await train({ state: 'START' })).toEqual({
      status: 200,
      json: { run: TRAINING, state: 'RUNNING' },
    });
    const [bounds] = await stack.sql(
      `select min(event_seq)::int as first, max(event_seq)::int as last, now() as now from purchases`,
    );
    const completed = {
      state: 'COMPLETE',
      startedAt: new Date().toISOString(),
      version: manifest.version,
      sha256: manifest.model.sha256,
      trainingRows: 40,
      snapshot: {
        table: 'purchases',
        firstSeq: bounds?.['first'],
        lastSeq: bounds?.['last'],
        asOf: new Date(String(bounds?.['now'])).toISOString().replace(/\.\d+Z/, '.999Z'),
        rows: 3,
        keys: 2,
        from: '2026-01-01T00:00:00Z',
        to: '2026-02-01T00:00:00Z',
        sources: [{ source: '/tills/1', type: 'shop.purchase.v1', events: 3 }],
      },
      assertions: [{ assertion: 'beats_popularity', success: true }],
    };
    expect(await train(completed)).toMatchObject({ status: 200, json: { state: 'COMPLETE' } });
    expect(await train(completed)).toMatchObject({ status: 200, json: { state: 'COMPLETE' } });
    const failed = { state: 'FAIL', startedAt: completed.startedAt, error: 'late' };
    expect(await train(failed)).toMatchObject({ status: 409, json: { code: 'run_ended' } });
    const own = (
      await runEvents((events) => events.some(({ eventType }) => eventType === 'COMPLETE'))
    ).filter(({ run }) => run.runId === TRAINING);
    expect(own.map(({ eventType }) => eventType)).toEqual(['START', 'COMPLETE']);
    expect(own[1]?.job.name).toBe('train.ranker');
    expect(own[1]?.inputs[0]).toMatchObject({
      name: 'millrace.public.purchases',
      inputFacets: {
        dataQualityMetrics: { rowCount: 3 },
        dataQualityAssertions: { assertions: [{ assertion: 'beats_popularity', success: true }] },
      },
    });

    const up = await walk(`prediction/${predictionId}?direction=up`);
    expect(kinds(up)).toEqual([
      'dataset',
      'event',
      'feature',
      'model',
      'prediction',
      'run',
      'source',
      'training-set',
    ]);
    expect(relations(up, /^training-set/, /^run/)).toEqual(['trained']);
    // The training, and the change of the registry that lets the version answer.
    expect(relations(up, /^run/, /^model/)).toEqual(['produced', 'published']);
    expect(relations(up, /^event/, /^training-set/)).toHaveLength(3);
  });
});

describe('the lineage of an event', () => {
  it('leads to its rows, features, training sets, models and predictions, by number and by name', async () => {
    const graph = await walk(`event/${encodeURIComponent('/tills/1')}/1?direction=down`);
    expect(kinds(graph)).toEqual([
      'dataset',
      'event',
      'feature',
      'model',
      'prediction',
      'run',
      'training-set',
    ]);
    const ids = graph.nodes.map(({ id }) => id);
    expect(ids).toEqual(
      expect.arrayContaining([
        'dataset:purchases',
        'feature:customer:alice',
        'feature:product:10001A',
        `training-set:${TRAINING}`,
        `run:${TRAINING}`,
        `model:${manifest.version}`,
        `prediction:${predictionId}`,
      ]),
    );
    expect(ids).not.toContain('feature:customer:bob');
    const seq = String(graph.nodes[0]?.attributes['seq']);
    const both = await walk(`event/${seq}`);
    expect(both.nodes.map(({ id }) => id)).toEqual(expect.arrayContaining([...ids, 'source:/tills/1']));
    // Only what is near.
    expect(kinds(await walk(`event/${seq}?direction=down&depth=1`))).not.toContain('prediction');
  });

  it('shows at most the requested number of predictions, and their total', async () => {
    const one = await walk(
      `model/${manifest.version}?direction=down&limit=1`,
      ({ truncated }) => truncated.length > 0,
    );
    expect(one.nodes.filter(({ kind }) => kind === 'prediction')).toHaveLength(1);
    expect(one.truncated[0]).toMatchObject({ kind: 'prediction', shown: 1 });
    expect(one.truncated[0]?.total).toBeGreaterThan(1);
  });
});

describe('a minute of ingest', () => {
  it('is one run, whose end has the counts of stored, duplicate and refused events', async () => {
    const jobs = ['ingest', 'fold', 'predict.ranker'];
    await runEvents((events) => jobs.every((job) => events.some((event) => event.job.name === job)));
    // As if the minutes of the runs were over, and the events of another one that nobody told of.
    await stack.sql(
      `update millrace.events set recorded_at = date_trunc('minute', now()) - interval '5 minutes'`,
    );
    await stack.sql(`update millrace.lineage_runs set due_at = now() where job = 'ingest'`);
    const swept = await stack.caller.ask('POST', '/v1/admin/lineage/sweep');
    expect(swept.json).toMatchObject({ begun: 1, aborted: 0 });
    const ofIngest = (page: OpenLineageEvent[]) => page.filter(({ job }) => job.name === 'ingest');
    const isStart = ({ eventType }: OpenLineageEvent) => eventType === 'START';
    const events = await runEvents((page) => {
      const all = ofIngest(page);
      return all.length > 2 && all.length === 2 * all.filter(isStart).length;
    });
    const runs = [...Map.groupBy(ofIngest(events), ({ run }) => run.runId).values()];
    expect(runs.map((of) => of.map(({ eventType }) => eventType))).toEqual(
      runs.map(() => ['START', 'COMPLETE']),
    );
    const stored = (event: OpenLineageEvent | undefined) =>
      event?.outputs.find(({ name }) => name.endsWith('.events'))?.outputFacets?.['outputStatistics']?.[
        'rowCount'
      ];
    const missed = runs.filter(([, end]) => stored(end) === 3);
    expect(missed).toHaveLength(1);
    const told = runs.filter(([, end]) => stored(end) === 0);
    const broken = told.flatMap(
      ([, end]) => end?.inputs[0]?.inputFacets?.['dataQualityAssertions']?.['assertions'],
    );
    expect(broken).toEqual(
      expect.arrayContaining([
        { assertion: 'quantity_not_positive', success: false },
        { assertion: 'unique_source_and_id', success: false },
      ]),
    );
    const run = await walk(`run/${missed[0]?.[0]?.run.runId}`);
    expect(run.nodes.filter(({ kind }) => kind === 'event')).toHaveLength(3);
    expect(run.nodes[0]?.attributes).toMatchObject({
      job: 'ingest',
      state: 'COMPLETE',
      counts: { stored: 3 },
    });
    const dataset = await walk('dataset/millrace.events?direction=up');
    expect(relations(dataset, /^run/, /^dataset/).length).toBeGreaterThan(1);
  });

  it('makes run events that are OpenLineage', async () => {
    const events = await runEvents((page) => page.some(({ eventType }) => eventType === 'COMPLETE'));
    for (const event of events) expect(OwnRunEvent.safeParse(event).error).toBeUndefined();
  });

  it.skipIf(!hasPublished)(`makes run events that are valid by ${PUBLISHED_TITLE}`, async () => {
    const published = new PublishedSchemas();
    const events = await runEvents((page) => page.some(({ eventType }) => eventType === 'COMPLETE'));
    expect(events.flatMap((event) => published.faults(event))).toEqual([]);
  });

  it('is read page by page', async () => {
    const whole = await runEvents((events) => events.length > 4);
    const paged: OpenLineageEvent[] = [];
    for (let after = '0.0'; ; ) {
      const { json } = await get(`/v1/lineage/events?limit=2&after=${after}`);
      const page = json as { events: OpenLineageEvent[]; next: string };
      paged.push(...page.events);
      if (page.events.length === 0) break;
      after = page.next;
    }
    expect(paged.slice(0, whole.length)).toEqual(whole);
  });
});

describe('a bad request', () => {
  it('is refused with the name of the parameter, and needs the key', async () => {
    expect((await get('/v1/lineage/event/1', {})).status).toBe(401);
    expect((await get('/v1/lineage/events', {})).status).toBe(401);
    expect((await get(`/v1/lineage/event/${encodeURIComponent('/tills/1')}/1`, {})).status).toBe(401);
    expect(await get('/v1/lineage/nothing/1')).toMatchObject({ status: 400, json: { pointer: 'kind' } });
    expect(await get('/v1/lineage/event/1?depth=99')).toMatchObject({
      status: 400,
      json: { pointer: 'depth' },
    });
    expect(await get('/v1/lineage/events?after=x')).toMatchObject({
      status: 400,
      json: { pointer: 'after' },
    });
    for (const name of ['event/999999', 'event/none', 'event/none/1', 'run/none', `run/${predictionId}`]) {
      expect(await get(`/v1/lineage/${name}`)).toMatchObject({ status: 404, json: { code: 'not_found' } });
    }
    for (const name of [
      'dataset/none',
      'feature/none:1',
      'feature/customer',
      'model/none',
      'prediction/none',
    ]) {
      expect(await get(`/v1/lineage/${name}`)).toMatchObject({ status: 404 });
    }
    expect(await train({ state: 'START' }, 'none')).toMatchObject({ status: 400, json: { pointer: 'id' } });
    expect(await train({ state: 'DONE' })).toMatchObject({ status: 400, json: { pointer: '/state' } });
  });
});
