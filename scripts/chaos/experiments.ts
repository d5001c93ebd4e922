import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { shardsOf } from '../../src/features/layout.ts';
import { mood } from '../../test/support/catalog/models.ts';
import { moodBundle } from '../../test/support/models/outside.ts';
import { crashingClassifierGraph } from '../../test/support/onnx/graph.ts';
import { tokenOf } from '../verify/client.ts';
import { type EndOfFault, type Experiment, type LeftOut, type Need, REGIONS_OF_LOAD } from './experiment.ts';
import { withMoreEvents } from './load.ts';
import type { ChaosStack } from './stack.ts';

/** A probe comes 5 s after the last at most, and one that hangs ends after 2 s (docs/operations.md). The rest is work. */
const BREAKER_MS = 10_000;
/** A database that was killed first recovers, and the messages of its outage are retried. */
const RESTART_MS = 20_000;

/** Of a slow database: how long its processes are stopped, and how long they run in between, in milliseconds. */
const STOPPED_MS = 450;
const RUNNING_MS = 50;
/** A statement's deadline is 10 s, as long as a phase. */
const LONGER_THAN_STATEMENTS = 1.5;
const STORM = 10;
/** Of a clock that is wrong: an hour, longer than any entry is kept. */
const SKEW_MS = 3_600_000;

/** A statement that takes as long is late, in milliseconds: beside a load it takes some. */
const LATE_MS = 250;
const LATE_TRIES = 5;

/** A statement of an operator, beside the worker's: it is late or fails. */
async function databaseIsLate({ database: { db } }: ChaosStack): Promise<string | undefined> {
  for (let attempt = 0; attempt < LATE_TRIES; attempt += 1) {
    const begunMs = performance.now();
    const outcome = await Promise.race([
      db.execute(sql`select 1`).then(
        () => 'answered',
        () => 'failed',
      ),
      sleep(2 * LATE_MS).then(() => 'did not answer'),
    ]);
    const afterMs = Math.round(performance.now() - begunMs);
    if (outcome !== 'answered' || afterMs >= LATE_MS) return `\`select 1\` ${outcome} after ${afterMs} ms`;
  }
  return undefined;
}

function silent(className: 'TagClock' | 'FeatureShard' | 'OutboxRelay', name: string) {
  return async (stack: ChaosStack): Promise<string | undefined> =>
    (await stack.answersCalls(className, name)) ? undefined : `${className} ${name} does not answer a call`;
}

/** Objects that answer nothing until the fault ends. */
function objects(fault: Parameters<ChaosStack['disturbObjects']>[0]) {
  return async (stack: ChaosStack): Promise<EndOfFault> => {
    await stack.disturbObjects(fault);
    return () => stack.releaseObjects();
  };
}

function pauseDatabase({ database }: ChaosStack): EndOfFault {
  database.pause();
  return () => database.resume();
}

/** Stops and continues the database's processes in turn: every statement takes half a second and more. */
function slowDatabase({ database }: ChaosStack): EndOfFault {
  const ending = new AbortController();
  const slowing = (async () => {
    while (!ending.signal.aborted) {
      database.pause();
      await sleep(STOPPED_MS);
      database.resume();
      await sleep(RUNNING_MS);
    }
  })();
  return async () => {
    ending.abort();
    await slowing;
  };
}

async function killDatabase({ database: { server } }: ChaosStack): Promise<EndOfFault> {
  await server?.kill();
  return async () => await server?.start();
}

function fillDisk({ database: { disk, server } }: ChaosStack): EndOfFault {
  disk?.fill();
  return async () => {
    disk?.free();
    // A server that cannot write its log ends itself.
    await server?.start();
  };
}

/** The epoch of the root clock before it lost its storage. */
const epochs = new WeakMap<ChaosStack, string>();

/** The epoch of the token of a write. */
async function epochOf(stack: ChaosStack): Promise<string> {
  const answer = await stack.request(0, 'PUT', '/v1/products/epoch', { description: null, unitPrice: 1 });
  return tokenOf(answer)?.epoch ?? '';
}

async function loseClock(stack: ChaosStack): Promise<EndOfFault> {
  epochs.set(stack, await epochOf(stack));
  await stack.disturbObjects({ className: 'TagClock', names: ['root'], fault: 'lose' });
  return () => undefined;
}

/** Damages models, and the copy of the manifest that is read without a database. */
async function damageObjects(stack: ChaosStack): Promise<EndOfFault> {
  await stack.turnBits();
  return () => stack.turnBits();
}

/** Publishes a version that is well on its golden samples, and throws in the runtime for every second request. */
async function publishCrashing(stack: ChaosStack): Promise<EndOfFault> {
  await stack.request(
    0,
    'PUT',
    `/v1/admin/models/${mood.name}/champion`,
    await moodBundle(crashingClassifierGraph(12)),
  );
  return async () => {
    await stack.request(0, 'POST', `/v1/admin/models/${mood.name}/rollback`);
  };
}

const BREAKS = { withinMs: BREAKER_MS };

export const EXPERIMENTS: readonly Experiment[] = [
  {
    name: 'database-gone',
    hypothesis:
      'While Postgres hangs, cached reads and events go on; what needs the database is refused with 503 in time, and nothing is lost.',
    fault: { what: 'SIGSTOP to every process of the database', peers: ['database'], begin: pauseDatabase },
    steadyState: BREAKS,
    verdict: { felt: ['marked', 'refused'] },
  },
  {
    name: 'database-killed',
    hypothesis:
      'A crash of Postgres costs refusals and marked answers until it is back, and no acknowledged write or event.',
    fault: {
      what: 'SIGKILL to every process of the database server; it is started again at the end',
      peers: ['database'],
      needs: ['server'],
      begin: killDatabase,
      evidence: databaseIsLate,
    },
    steadyState: { withinMs: RESTART_MS },
    verdict: { felt: ['marked', 'refused'] },
  },
  {
    name: 'database-slow',
    hypothesis:
      'A database that takes half a second for each statement slows misses and writes, and nothing else.',
    fault: {
      what: `the database's processes run ${RUNNING_MS} ms of every ${STOPPED_MS + RUNNING_MS} (SIGSTOP, SIGCONT)`,
      peers: ['database'],
      begin: slowDatabase,
      evidence: databaseIsLate,
    },
    steadyState: BREAKS,
    verdict: { felt: [] },
  },
  {
    name: 'hung-region',
    hypothesis:
      'While the clocks of both regions hang, the isolates ask the root clock, and readers are answered as before.',
    fault: {
      what: 'the regional clocks of the load take no call (their input gates are closed)',
      peers: ['regional-clock'],
      begin: objects({ className: 'TagClock', names: REGIONS_OF_LOAD, fault: 'hang' }),
      evidence: silent('TagClock', REGIONS_OF_LOAD[0]),
    },
    steadyState: BREAKS,
    verdict: { felt: [] },
  },
  {
    name: 'hung-shards',
    hypothesis:
      'While all feature shards hang, predictions are answered by their fallback, marked, and events wait in the queue.',
    fault: {
      what: 'the feature shards take no call (their input gates are closed)',
      peers: ['feature-shard'],
      begin: objects({ className: 'FeatureShard', names: shardsOf('customer'), fault: 'hang' }),
      evidence: silent('FeatureShard', shardsOf('customer')[0] ?? ''),
    },
    steadyState: BREAKS,
    verdict: { felt: ['marked'] },
  },
  {
    name: 'hung-root-clock',
    hypothesis:
      'While the root clock hangs, reads bypass the cache or say that they are unverified, writes are refused, events are accepted.',
    fault: {
      what: 'the root clock takes no call (its input gate is closed)',
      peers: ['root-clock'],
      begin: objects({ className: 'TagClock', names: ['root'], fault: 'hang' }),
      evidence: silent('TagClock', 'root'),
    },
    steadyState: BREAKS,
    verdict: { felt: ['marked', 'refused'] },
  },
  {
    name: 'clock-loss',
    hypothesis:
      'A root clock that has lost its storage begins a new epoch, and no entry of the old one is served as fresh.',
    fault: {
      what: 'the storage of the root clock is deleted and the object ends',
      peers: ['root-clock'],
      begin: loseClock,
      evidence: async (stack) => {
        const epoch = await epochOf(stack);
        return epochs.get(stack) === epoch
          ? undefined
          : `the epoch is ${epoch}, before it was ${epochs.get(stack)}`;
      },
    },
    steadyState: BREAKS,
    verdict: { felt: [] },
  },
  {
    name: 'queue-storm',
    hypothesis: `${STORM} times the events are accepted and stored once each, and readers are answered as before.`,
    fault: {
      what: `${STORM} times as many events a second`,
      peers: [],
      begin: () => () => undefined,
      load: (shape) => withMoreEvents(shape, STORM),
    },
    steadyState: BREAKS,
    verdict: { felt: ['data'] },
  },
  {
    name: 'r2-corruption',
    hypothesis:
      'An isolate that has to load a model whose bytes are damaged answers by the declared fallback, marked; no wrong score is served.',
    fault: {
      what: 'every bit of every object in R2 is turned (models and the manifest of the champion), and a new isolate predicts',
      peers: ['artifacts'],
      begin: damageObjects,
      load: (shape, { spare }) => ({ ...shape, predictsAt: spare }),
    },
    steadyState: BREAKS,
    verdict: { felt: ['marked'] },
  },
  {
    name: 'model-crash',
    hypothesis:
      'A champion that throws for half of the requests is replaced by its fallback for these, marked.',
    fault: {
      what: 'a version is published whose graph reads beyond a table for hours after noon, which throws in the ONNX runtime',
      peers: [],
      begin: publishCrashing,
    },
    steadyState: BREAKS,
    verdict: { felt: ['marked'] },
  },
  {
    name: 'hot-key',
    hypothesis: 'All readers and writers on one product see its acknowledged versions in time.',
    fault: {
      what: 'every read and every write is of one product',
      peers: [],
      begin: () => () => undefined,
      load: (shape) => ({ ...shape, isHot: true }),
    },
    steadyState: BREAKS,
    verdict: { felt: ['data'] },
  },
  {
    name: 'cascade',
    hypothesis:
      'With the database and the root clock away at once, what is cached is served marked, and the rest refused in time.',
    fault: {
      what: 'SIGSTOP to every process of the database, and the root clock takes no call',
      peers: ['database', 'root-clock'],
      lasts: LONGER_THAN_STATEMENTS,
      evidence: async (stack) => {
        const [database, clock] = [await databaseIsLate(stack), await silent('TagClock', 'root')(stack)];
        return database === undefined || clock === undefined ? undefined : `${database}; ${clock}`;
      },
      begin: async (stack) => {
        const release = await objects({ className: 'TagClock', names: ['root'], fault: 'hang' })(stack);
        const resume = pauseDatabase(stack);
        return async () => {
          await resume();
          await release();
        };
      },
    },
    steadyState: BREAKS,
    // First the clock is waited for, then the database.
    verdict: { felt: ['marked', 'refused'], halfWithinMs: 2_000 },
  },
  {
    name: 'region-loss',
    hypothesis:
      'With the regional clocks and the relay of the outbox gone, reads go on by the root, and events are relayed once it is back.',
    fault: {
      what: 'the regional clocks of the load and the outbox relay end and cannot start',
      peers: ['regional-clock', 'outbox-relay'],
      begin: async (stack) => {
        await stack.disturbObjects({ className: 'TagClock', names: REGIONS_OF_LOAD, fault: 'gone' });
        await stack.disturbObjects({ className: 'OutboxRelay', names: ['main'], fault: 'gone' });
        return () => stack.releaseObjects();
      },
      evidence: silent('OutboxRelay', 'main'),
    },
    steadyState: BREAKS,
    verdict: { felt: [] },
  },
  {
    name: 'clock-skew',
    hypothesis:
      'An isolate whose wall clock is an hour ahead serves nothing stale, and recovers when the clock is right again.',
    fault: {
      what: 'the wall clock (`Date`) of one isolate is set an hour ahead; the runtime has no other way',
      peers: [],
      begin: async (stack) => {
        await stack.setClock(0, SKEW_MS);
        return async () => void (await stack.setClock(0, 0));
      },
      evidence: async (stack) => {
        const asked = { entity: 'customer', keys: ['skew'] };
        const { body } = await stack.request(0, 'POST', '/v1/features/read', asked);
        const aheadMs = Number(Reflect.get(Object(body), 'asOf')) - Date.now();
        return aheadMs > SKEW_MS / 2
          ? `the isolate answers as of ${Math.round(aheadMs / 1_000)} s from now`
          : undefined;
      },
    },
    steadyState: BREAKS,
    verdict: { felt: [] },
  },
  {
    name: 'disk-full',
    hypothesis:
      'A database that cannot write refuses writes; reads go on, events wait in the queue and none is put aside.',
    fault: {
      what: 'the file system of the database has no free byte',
      peers: ['database'],
      needs: ['disk'],
      begin: fillDisk,
      evidence: async ({ database: { disk } }) =>
        disk?.freeBytes() === 0 ? 'the file system has 0 free bytes' : undefined,
    },
    steadyState: { withinMs: RESTART_MS },
    verdict: { felt: ['marked', 'refused'] },
  },
];

/** What no experiment does on a machine of one's own, with the reason. */
const NEVER: readonly LeftOut[] = [
  {
    name: 'model-hang',
    reason:
      'a graph that never ends blocks the isolate. The platform ends it at its limit of CPU time; the local runtime has no such limit, so it would hang for good',
  },
  {
    name: 'region-network',
    reason:
      'the local runtime has one process: no link between regions can be cut. hung-region and region-loss take the objects away',
  },
  {
    name: 'queue-gone',
    reason:
      'the local queues live in the memory of the runtime and end with it, so an outage of the queue would lose what the platform keeps',
  },
];

const MISSING: Readonly<Record<Need, string>> = {
  server:
    'the machine has no Postgres server (initdb), and the embedded one cannot be killed and started again',
  disk: 'this process may not mount a file system of a limited size, or the machine has no Postgres server',
};

/** The experiments that this machine can run, and those that it cannot. */
export function feasible(has: Readonly<Record<Need, boolean>>): {
  readonly experiments: readonly Experiment[];
  readonly leftOut: readonly LeftOut[];
} {
  const missing = ({ fault }: Experiment) => fault.needs?.find((need) => !has[need]);
  return {
    experiments: EXPERIMENTS.filter((experiment) => missing(experiment) === undefined),
    leftOut: [
      ...EXPERIMENTS.flatMap((experiment) => {
        const need = missing(experiment);
        return need === undefined ? [] : [{ name: experiment.name, reason: MISSING[need] }];
      }),
      ...NEVER,
    ],
  };
}
