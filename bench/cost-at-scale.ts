/**
 * What the tag clock costs with many regions, isolates and invalidations: `npm run bench:scale`. The real rules
 * run in virtual time at a thousand isolates, formulas are held against them, and the formulas give the tables
 * and the plots (docs/cost-at-scale.svg) for what is too large to run.
 */
import { writeFileSync } from 'node:fs';
import { AS_IT_IS, DeltaCosts, type Knobs, type Prediction, predict } from './scale/formula.ts';
import type { Cost, Load } from './scale/load.ts';
import { plot, type Series } from './scale/plot.ts';
import { simulate } from './scale/world.ts';

const SECONDS = 5;
const SEED = 3;
const REGIONS = [10, 100, 300];
const ISOLATES = [1_000, 10_000, 100_000];
const INVALIDATIONS = [10, 100, 1_000, 10_000];
const READS_PER_SECOND = 10;
const TAGS = 5;
/** Requests a second that one Durable Object bears, by the platform's documentation. */
const OBJECT_REQUESTS_PER_SECOND = 1_000;

const deltas = new DeltaCosts();

function loadOf(regions: number, isolates: number, invalidationsPerSecond: number): Load {
  return { regions, isolates, readsPerSecond: READS_PER_SECOND, invalidationsPerSecond, tags: TAGS };
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const line = (cells: readonly (string | number)[]) => console.log(`| ${cells.join(' | ')} |`);
  console.log('');
  line(head);
  line(head.map(() => '---'));
  for (const row of rows) line(row);
}

const whole = (value: number) => Math.round(value).toLocaleString('en');
const megabytes = (bytes: number) =>
  bytes >= 1e7 ? whole(bytes / 1e6) : String(Number((bytes / 1e6).toPrecision(2)));
const percent = (part: number) => `${(part * 100).toFixed(0)} %`;
const rootCalls = (load: Load, { rootSyncs, rootPushes }: Cost) =>
  rootSyncs + rootPushes + load.invalidationsPerSecond;

async function printValidation(): Promise<void> {
  const worlds = [
    loadOf(10, 1_000, 10),
    loadOf(10, 1_000, 100),
    loadOf(10, 1_000, 1_000),
    loadOf(100, 1_000, 100),
    loadOf(300, 900, 100),
    loadOf(2, 1_000, 100),
  ];
  const rows: string[][] = [];
  for (const load of worlds) {
    const real = await simulate(load, SECONDS, SEED);
    const told = predict(load, deltas);
    const cells = (['rootSyncs', 'rootPushes', 'rootBytes', 'regionSyncs', 'regionBytes'] as const).map(
      (name) => `${whole(real[name])} (${((told[name] / real[name] - 1) * 100).toFixed(0)} %)`,
    );
    const { regions, isolates, invalidationsPerSecond } = load;
    rows.push([`${regions} × ${isolates / regions}`, whole(invalidationsPerSecond), ...cells]);
  }
  const quantities = ['root: syncs/s', 'pushes/s', 'bytes/s', 'region: syncs/s', 'bytes/s'];
  table(['regions × isolates', 'invalidations/s', ...quantities], rows);
}

function printRoot(): void {
  const rows = REGIONS.flatMap((regions) =>
    INVALIDATIONS.map((invalidations) => {
      const load = loadOf(regions, 10_000, invalidations);
      const cost = predict(load, deltas);
      const { rootSyncs, rootPushes, rootBytes, rootEncodeS } = cost;
      const calls = [rootSyncs, rootPushes, invalidations, rootCalls(load, cost)].map(whole);
      return [regions, whole(invalidations), ...calls, megabytes(rootBytes), percent(rootEncodeS)];
    }),
  );
  const head = ['regions', 'invalidations/s', 'syncs/s', '+ pushes/s', '+ invalidations/s', '= calls/s'];
  table([...head, 'MB/s out', 'deltas, of one core'], rows);
}

function printRegion(): void {
  const rows = REGIONS.flatMap((regions) =>
    ISOLATES.map((isolates) => {
      const costs = INVALIDATIONS.map((invalidations) =>
        predict(loadOf(regions, isolates, invalidations), deltas),
      );
      const [first] = costs;
      const pause = `${whole(first?.regionPauseMs ?? 0)} ms`;
      const bytes = costs.map(({ regionBytes }) => megabytes(regionBytes));
      return [
        regions,
        whole(isolates),
        whole(isolates / regions),
        whole(first?.regionSyncs ?? 0),
        pause,
        ...bytes,
      ];
    }),
  );
  const bytes = INVALIDATIONS.map((invalidations) => `MB/s at ${whole(invalidations)}/s`);
  table(['regions', 'isolates', 'of one region', 'syncs/s', 'pause', ...bytes], rows);
}

function printReads(): void {
  const rows = [1, 10, 100, 1_000].map((readsPerSecond) => {
    const { rootSyncs, regionSyncs, regionPauseMs } = predict(
      { ...loadOf(10, 1_000, 100), readsPerSecond },
      deltas,
    );
    return [whole(readsPerSecond), whole(rootSyncs), whole(regionSyncs), `${whole(regionPauseMs)} ms`];
  });
  table(['reads/s of an isolate', 'root: syncs/s', 'region: syncs/s', 'pause'], rows);
}

function printKnobs(): void {
  const load = loadOf(300, 10_000, 1_000);
  const gathered = { ...load, invalidationsPerSecond: 50, tags: TAGS * 20 };
  const asked = { ...AS_IT_IS, rootPauseMsMax: 50 };
  const paused: Knobs = { ...AS_IT_IS, pushPauseMs: 300 };
  const longer: Knobs = { rootPauseMsMax: 2_000, pushPauseMs: 300 };
  const row = (name: string, under: Load, knobs: Knobs) => {
    const cost: Prediction = predict(under, deltas, knobs);
    const calls = [cost.rootSyncs, cost.rootPushes, under.invalidationsPerSecond, rootCalls(under, cost)];
    return [name, ...calls.map(whole), megabytes(cost.rootBytes), percent(cost.rootEncodeS)];
  };
  table(
    ['rule', 'syncs/s', 'pushes/s', 'invalidations/s', 'calls/s', 'MB/s out', 'deltas, of one core'],
    [
      row('a fixed pause of 50 ms for regions', load, asked),
      row('as it is', load, AS_IT_IS),
      row('and invalidations gathered for 20 ms', gathered, AS_IT_IS),
      row('and at most a push each 300 ms to a region', gathered, paused),
      row('and Δ = 5 s: regions asked to wait 2 s', gathered, longer),
    ],
  );
}

function draw(): void {
  const over = (values: readonly number[], y: (regions: number, value: number) => number): Series[] =>
    REGIONS.map((regions) => ({
      name: `${regions} regions`,
      points: values.map((value) => [value, y(regions, value)] as const),
    }));
  const limit = { y: OBJECT_REQUESTS_PER_SECOND, name: '1,000 requests a second, which one object bears' };
  const atRoot = (regions: number, invalidations: number) => loadOf(regions, 10_000, invalidations);
  const svg = plot(
    [
      {
        title: 'Calls at the root (10,000 isolates)',
        x: 'invalidations a second',
        y: 'calls a second',
        limit,
        series: over(INVALIDATIONS, (regions, at) => {
          const load = atRoot(regions, at);
          return rootCalls(load, predict(load, deltas));
        }),
      },
      {
        title: 'Bytes from the root (10,000 isolates)',
        x: 'invalidations a second',
        y: 'bytes a second',
        series: over(INVALIDATIONS, (regions, at) => predict(atRoot(regions, at), deltas).rootBytes),
      },
      {
        title: 'Calls at one region',
        x: 'isolates in all regions',
        y: 'calls a second',
        limit,
        series: over(ISOLATES, (regions, at) => predict(loadOf(regions, at, 100), deltas).regionSyncs),
      },
      {
        title: 'Bytes from one region (10,000 isolates)',
        x: 'invalidations a second',
        y: 'bytes a second',
        series: over(INVALIDATIONS, (regions, at) => predict(atRoot(regions, at), deltas).regionBytes),
      },
    ],
    'Calls and bytes a second at the root and at one region of the tag clock, by load',
  );
  writeFileSync('docs/cost-at-scale.svg', svg);
}

await printValidation();
printRoot();
printRegion();
printReads();
printKnobs();
draw();
