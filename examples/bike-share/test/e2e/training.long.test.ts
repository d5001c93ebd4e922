import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  datasetCounts,
  type Retraining,
  type RunCounts,
  rowsReadMax,
  runCounts,
} from '../../../../bench/cost/retraining.ts';
import { RIDES_RETRAINED } from '../../../../bench/cost/scenarios.ts';
import { WRITTEN_EXAMPLES } from '../../../../src/gateway/contract/written-examples.ts';
import { differences } from '../../../../test/support/gateway/agree.ts';
import { IS_PART } from '../../../../test/support/node/part.ts';
import { eventually, KEY, type Stack, startStack } from '../../../../test/support/node/stack.ts';
import type { ObjectCounts } from '../../../../test/support/worker/object-counts.ts';
import { BIKE_SHARE } from '../served.ts';

// Raw requests: outage (test/unit/architecture/raw-requests.test.ts).
const AUTHORIZED = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
const RIDES = 11_300;
const REPORTS = 120;
const OVER = ['done', 'refused', 'failed', 'cancelled'];

interface Run {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
  readonly version: string | null;
  readonly isChallenger: boolean;
  readonly verdict: string | null;
  readonly failure: { readonly code: string; readonly detail: string } | null;
  readonly gates: readonly { readonly gate: string; readonly holds: boolean }[];
  readonly dataset: { readonly id: string; readonly digest: string } | null;
  readonly cost: Readonly<Record<string, number>>;
  readonly evaluation: { readonly champion: unknown; readonly rows: number } | null;
}

interface Drift {
  readonly versions: readonly {
    readonly rows: number;
    readonly drifts: readonly { readonly training: unknown }[];
  }[];
}

let stack: Stack;
beforeAll(async () => {
  // 70 days of rides by 30 riders, each of whom rides about as long as ever: 8 minutes and more, by the rider.
  stack = await startStack(
    {},
    {
      served: { ...BIKE_SHARE, main: 'examples/bike-share/test/worker/counted.ts' },
      existing: [
        `insert into millrace.events (source, id, type, occurred_at, recorded_at, data, batch)
         select '/old', n::text, 'bikes.ride.v1', m_at, now() - interval '1 hour',
           jsonb_build_object('rider', '7d0c4f86-54a1-4f0b-9c53-1f4f9a3d2b' || lpad((n % 30)::text, 2, '0'),
             'plan', 'member', 'bike', 'B204', 'minutes', 8 + 2 * (n % 30) + (n * 7) % 3,
             'startStation', 101, 'startDock', 3, 'endStation', 102, 'endDock', 1), gen_random_uuid()
         from (select n, now() - interval '71 days' + n * interval '9 minutes' as m_at
           from generate_series(1, ${RIDES}) n) m_all`,
      ],
    },
  );
  const station = { name: 'Harbour', district: 'Old Town', capacity: 20 };
  expect((await stack.caller.ask('PUT', '/v1/stations/101', { json: station })).status).toBe(201);
});
afterAll(() => stack[Symbol.asyncDispose]());

async function call<T>(method: string, path: string, body?: object): Promise<{ status: number; json: T }> {
  const init = {
    method,
    headers: AUTHORIZED,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  const answer = await stack.fetch(path, init);
  return { status: answer.status, json: (await answer.json()) as T };
}

async function start(): Promise<Run> {
  const { status, json } = await call<Run>('POST', '/v1/training', { model: 'ride-minutes' });
  expect([status, json]).toMatchObject([202, { reason: 'hand' }]);
  expect(differences(WRITTEN_EXAMPLES['startTraining']?.['202'], json)).toEqual([]);
  return json;
}

async function run(id: string): Promise<Run> {
  return (await call<Run>('GET', `/v1/training/${id}`)).json;
}

async function over(id: string): Promise<Run> {
  return await eventually(
    () => run(id),
    ({ state }) => OVER.includes(state),
    240_000,
  );
}

/** What the objects that make a training have done since the last call. */
async function takenCounts(): Promise<Readonly<Record<string, ObjectCounts>>> {
  return (await call<Readonly<Record<string, ObjectCounts>>>('GET', '/test/counts')).json;
}

async function runs(): Promise<readonly Run[]> {
  return (await call<{ runs: readonly Run[] }>('GET', '/v1/training?model=ride-minutes')).json.runs;
}

/** Events by which the quality of the pipeline is known, and which no label depends on. */
async function report(): Promise<void> {
  const time = new Date(Date.now() - 60_000).toISOString();
  const events = Array.from({ length: REPORTS }, (_, index) => ({
    ...{ specversion: '1.0', source: '/e2e', id: `report-${index}`, type: 'bikes.station-report.v1', time },
    data: { station: 101, bikes: index % 20, docksFree: 20 - (index % 20) },
  }));
  const answer = await stack.fetch('/v1/events', {
    method: 'POST',
    headers: { ...AUTHORIZED, 'content-type': 'application/cloudevents-batch+json', prefer: 'wait' },
    body: JSON.stringify(events),
  });
  expect(answer.status, await answer.text()).toBeLessThan(300);
}

it('refuses a run while the quality of the events is not known, and begins no other one by itself', async () => {
  await stack.scheduled();
  const [begun] = await eventually(runs, ({ length }) => length > 0, 60_000);
  const refused = await over(begun?.id ?? '');
  expect(refused).toMatchObject({ state: 'refused', reason: 'schedule', failure: { code: 'gates_closed' } });
  expect(refused.gates.map(({ gate, holds }) => [gate, holds])).toEqual([
    ['pipeline', true],
    ['quality', false],
    ['history', true],
    ['streaming', true],
  ]);
  await stack.scheduled();
  expect(await runs()).toHaveLength(1);
});

/** Predictions for riders who never rode: each of their features is the default. */
async function askForNewRiders(after: number, count: number): Promise<void> {
  const answers = Array.from({ length: count }, (_, index) =>
    call<{ model: { version: string }; source: string }>('POST', '/v1/predictions/ride-minutes', {
      key: `00000000-0000-4000-8000-${String(after + index).padStart(12, '0')}`,
    }),
  );
  for (const { json } of await Promise.all(answers))
    expect(json).toMatchObject({ source: 'model', model: { version } });
}

/** docs/cost.md derives from the report of a run what its objects have written, asked and read. */
function expectDerivedCost({ cost, isChallenger }: Run, taken: Readonly<Record<string, ObjectCounts>>): void {
  const { TrainingRuns: ofRun, Datasets: ofDataset } = taken;
  if (ofRun === undefined || ofDataset === undefined) throw new Error('Both objects have worked.');
  const counts = ({ rowsWritten, bindings }: ObjectCounts): RunCounts => ({
    ...{ rowsWritten, sql: bindings['sql'] ?? 0 },
    ...{ r2Reads: bindings['MODELS.get'] ?? 0, r2Writes: bindings['MODELS.put'] ?? 0 },
  });
  const polls = ofRun.bindings['DATASETS.read'] ?? 0;
  const run: Retraining = {
    ...{ ...RIDES_RETRAINED, isChallenger, polls },
    ...{ steps: cost['steps'] ?? 0, r2Reads: cost['r2Reads'] ?? 0, r2Writes: cost['r2Writes'] ?? 0 },
    ...{ alarms: ofRun.calls['alarm'] ?? 0, datasetAlarms: ofDataset.calls['alarm'] ?? 0 },
  };
  expect({ dataset: counts(ofDataset), run: counts(ofRun) }).toEqual({
    ...{ dataset: datasetCounts(run), run: runCounts(run) },
  });
  // The run of docs/cost.md had as many steps beside those that wait for the dataset.
  expect(run.steps - polls).toBe(RIDES_RETRAINED.steps - RIDES_RETRAINED.polls);
  expect(rowsReadMax(run)).toBeGreaterThanOrEqual(ofRun.rowsRead + ofDataset.rowsRead);
}

let version: string | null;

it('trains from events to the challenger, with the same bytes again', async () => {
  await report();
  await takenCounts();
  const begun = await start();
  expect((await call('POST', '/v1/training', { model: 'ride-minutes' })).status).toBe(409);
  const done = await over(begun.id);
  expectDerivedCost(done, await takenCounts());
  expect([done.failure, done.state]).toEqual([null, 'done']);
  expect(done).toMatchObject({ verdict: 'better', isChallenger: true, evaluation: { champion: null } });
  expect(done.evaluation?.rows).toBeGreaterThan(100);
  expect(done.cost['r2Reads']).toBeGreaterThan(0);
  version = done.version;

  const model = await call<{ aliases: unknown }>('GET', '/v1/models/ride-minutes');
  expect(model.json.aliases).toMatchObject({ challenger: { version } });
  const path = `/v1/models/ride-minutes/versions/${version}`;
  const { json: registered } = await call<{ card: string; manifest: unknown }>('GET', path);
  expect(registered.card).toContain('Verdict: better');
  expect(registered.manifest).toMatchObject({
    trainedFrom: { run: done.id, dataset: done.dataset?.id, evaluation: { verdict: 'better' } },
  });
  const lineage = await call<{ nodes: { id: string }[] }>('GET', `/v1/lineage/run/${done.id}?direction=down`);
  expect(lineage.json.nodes.map(({ id }) => id)).toContain(`model:${version}`);

  const again = await over((await start()).id);
  expect([again.state, again.version, again.dataset?.digest]).toEqual([
    'done',
    version,
    done.dataset?.digest,
  ]);
}, 300_000);

it('ends a run that is cancelled, and goes on with it', async () => {
  const { id } = await start();
  expect((await call<Run>('POST', `/v1/training/${id}/cancel`)).json.state).toBe('cancelled');
  const resumed = await call<Run>('POST', `/v1/training/${id}/resume`);
  expect(resumed.status).toBe(202);
  expect(await over(id)).toMatchObject({ state: 'done', version });
  expect((await call('POST', `/v1/training/${id}/resume`)).status).toBe(409);
  const audit = await stack.sql(
    "select distinct action from millrace.audit_log where action like 'training.%' order by action",
  );
  expect(audit.map(({ action }) => action)).toEqual(['training.cancel', 'training.resume', 'training.start']);
}, 300_000);

it('sees that the rows drift which the new version is asked about, and asks for a run', async () => {
  const promoted = await call('PUT', '/v1/admin/models/ride-minutes/aliases/champion', { version });
  expect(promoted.status).toBe(200);
  // Rows of an answer whose version could not be verified in time are not watched, and a report that is lost is not sent
  // again: so riders ask until a drift is seen.
  let asked = 0;
  const seen = await eventually(
    async () => {
      await askForNewRiders(asked, 25);
      asked += 25;
      return (await call<Drift>('GET', '/v1/admin/models/ride-minutes/drift')).json;
    },
    ({ versions: [watched] }) => watched !== undefined && watched.drifts.length > 0,
    180_000,
  );
  expect(differences(WRITTEN_EXAMPLES['getDrift']?.['200'], seen)).toEqual([]);
  expect(seen.versions).toMatchObject([{ version, falseAlarmRows: 10_000 }]);
  expect(seen.versions[0]?.rows).toBeGreaterThanOrEqual(25);
  expect(seen.versions[0]?.rows).toBeLessThanOrEqual(asked);
  // A run has begun within the hour before.
  expect(seen.versions[0]?.drifts).toMatchObject([
    { until: null, training: { run: null, why: 'debounced' } },
  ]);
});

// It waits for an alarm: a minute.
it.skipIf(IS_PART)(
  'goes on after the worker was killed, and makes the same version',
  async () => {
    const { id } = await start();
    await eventually(
      () => run(id),
      ({ state }) => state !== 'queued' && state !== 'dataset',
      120_000,
    );
    stack.killRuntime();
    // The runtime that follows listens elsewhere, so the database is asked.
    const rows = await eventually(
      () => stack.sql('select state, version from millrace.lineage_runs where id = $1', [id]),
      ([row]) => row?.['state'] === 'COMPLETE',
      240_000,
    );
    expect(rows).toEqual([{ state: 'COMPLETE', version }]);
  },
  400_000,
);
