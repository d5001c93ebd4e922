import { judgeHistory, type Violation } from '../support/coherence/judge.ts';
import { CHAMPION_ROW } from './origin.ts';
import type { Refusal } from './reach.ts';
import type { RecordEvent } from './recording.ts';
import {
  BUSY_MS,
  CUSTOMER_KEYS,
  ISOLATES,
  KEYS,
  keyOfRow,
  keysOfCustomer,
  type Plan,
  type Step,
} from './steps.ts';
import { World } from './world.ts';

export interface Outcome {
  readonly violations: readonly Violation[];
  /** Answers that should have come, or should have been others. */
  readonly refusals: readonly Refusal[];
  readonly reads: number;
  readonly hits: number;
  readonly unanswered: number;
  readonly acknowledged: number;
  readonly trace: readonly string[];
}

/** Longest trouble, plus the longest bound of a source: then everything that was committed has to show. */
const SETTLED_MS = BUSY_MS + 10_000 + 14_000;
/** More than the slack that the checker allows for clocks that drift. */
const PAST_THE_BOUND_MS = 6;
const END_MS = SETTLED_MS + 12_000;

/** Runs a plan to its end and judges what clients saw. */
export async function run(plan: Plan, withTrace = false, record?: RecordEvent): Promise<Outcome> {
  using world = new World(plan, withTrace, record);
  const { scheduler, origin, trace } = world.deployment;
  for (const step of plan.steps) scheduler.setTimer(step.atMs, () => take(world, step));
  // Once all has healed, everybody looks at everything: what was lost on the way shows now at the latest.
  for (let isolate = 0; isolate < ISOLATES; isolate += 1) {
    for (const [n, key] of [...KEYS, ...(plan.hasCustomers ? CUSTOMER_KEYS : [])].entries()) {
      const ask = (level: 'strong' | 'bounded') => () => void world.read(isolate, key, { level });
      scheduler.setTimer(BUSY_MS + 11_000 + isolate * 97 + n * 13, ask('bounded'));
      scheduler.setTimer(SETTLED_MS + isolate * 101 + n * 17, ask('bounded'));
      scheduler.setTimer(SETTLED_MS + 2_500 + isolate * 103 + n * 19, ask('strong'));
    }
  }
  await scheduler.run(END_MS);
  const { reads, hits, unanswered } = world;
  return {
    violations: judgeHistory(origin.writes, reads),
    refusals: [
      ...world.refusals,
      ...(world.customers?.refusals ?? []),
      ...world.openReads.overdue(scheduler.nowMs),
    ],
    reads: reads.length,
    hits,
    unanswered,
    acknowledged: origin.writes.filter(({ acknowledged }) => acknowledged !== undefined).length,
    trace: trace ?? [],
  };
}

function take(world: World, step: Step): void {
  const { deployment } = world;
  const { scheduler, origin } = deployment;
  switch (step.kind) {
    case 'read':
      void world.read(step.isolate, step.key, { level: step.level });
      return;
    case 'session':
      void visit(world, step);
      return;
    case 'write':
      void world.write(step.isolate, step.changes).then((token) => {
        const keys = step.changes.map(({ row }) => keyOfRow(row));
        if (token !== undefined) watch(world, keys, step.watchers);
      });
      return;
    case 'promote':
      void world.write(step.isolate, [{ row: CHAMPION_ROW, kind: 'update' }]).then((token) => {
        if (token !== undefined) watch(world, CUSTOMER_KEYS.slice(0, 2), step.watchers);
      });
      return;
    case 'purchase':
      void world.buy(step.isolate, step.customer).then((token) => {
        if (token !== undefined) watch(world, keysOfCustomer(step.customer), step.watchers);
      });
      return;
    case 'foreign-write':
      world.foreignWrite(step.changes);
      return;
    case 'restart':
      deployment.log(() => `${step.machine} is restarted`);
      deployment.restart(step.machine);
      return;
    case 'reset-root':
      deployment.log(() => 'the root loses its storage');
      deployment.resetRoot();
      return;
    case 'cut': {
      const [a, b] = [deployment.machine(step.a), deployment.machine(step.b)];
      deployment.log(() => `${step.a} and ${step.b} lose sight of each other for ${step.forMs} ms`);
      deployment.network.cut(a, b);
      scheduler.setTimer(step.forMs, () => deployment.network.heal(a, b));
      return;
    }
    case 'origin':
      deployment.log(() =>
        step.down ? `the database is down for ${step.forMs} ms` : `the database is slow`,
      );
      origin.down = step.down;
      origin.slowMs = step.slowMs;
      scheduler.setTimer(step.forMs, () => {
        origin.down = false;
        origin.slowMs = 0;
      });
      return;
    case 'hang': {
      const [a, b] = [deployment.machine(step.a), deployment.machine(step.b)];
      deployment.log(
        () => `calls between ${step.a} and ${step.b} are answered ${step.how}, for ${step.forMs} ms`,
      );
      deployment.network.hang(a, b, step.how);
      scheduler.setTimer(step.forMs, () => deployment.network.unhang(a, b));
      return;
    }
    case 'defect':
      deployment.log(() => `queries have a defect for ${step.forMs} ms`);
      origin.defect = true;
      scheduler.setTimer(step.forMs, () => {
        origin.defect = false;
      });
      return;
    case 'forget-colo':
      deployment.tiers.forgetColo(step.region);
      return;
  }
}

/** Reads that come just when a promise begins to hold: at the acknowledgement, and when the bound is over. */
function watch(world: World, keys: readonly string[], watchers: readonly number[]): void {
  for (const isolate of watchers) {
    for (const key of keys) {
      void world.read(isolate, key, { level: 'strong' });
      // The second half a bound later: a mirror that counted its age from the wrong moment would still serve then.
      for (const bounds of [1, 1.5]) {
        world.deployment.scheduler.setTimer(bounds * world.boundMs(key) + PAST_THE_BOUND_MS, () => {
          void world.read(isolate, key, { level: 'bounded' });
        });
      }
    }
  }
}

/** A client that carries its token along, and begins anew where its epoch is over. */
async function visit(world: World, { id, visits }: Extract<Step, { kind: 'session' }>): Promise<void> {
  let token: Awaited<ReturnType<World['write']>>;
  let beginnings = 0;
  for (const { isolate, afterMs, does } of visits) {
    await world.deployment.scheduler.sleep(afterMs);
    if ('change' in does) {
      token = (await world.write(isolate, [does.change])) ?? token;
      continue;
    }
    if ('buys' in does) {
      token = (await world.buy(isolate, does.buys)) ?? token;
      continue;
    }
    const seen = await world.read(isolate, does.read, { token, session: `${id}.${beginnings}` });
    token = seen.epochIsOver ? undefined : seen.token;
    if (seen.epochIsOver) beginnings += 1;
  }
}
