import { resetBreakers } from '../../../src/platform/breakers.ts';
import { countDead, mend, reset, type SimulatedDatabase } from './database.ts';
import { judge } from './judge.ts';
import type { Machine } from './machine.ts';
import { rebuildFeatures } from './rebuild.ts';
import type { Schedule } from './schedule.ts';
import { World } from './world.ts';

/** A rebuild has some faults of its own: those of the schedule may be used up by then. */
const REBUILD_FAULTS_MAX = 10;

export interface Outcome {
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly steps: number;
  readonly faults: number;
  /** Dead letters that were kept before anything was mended. */
  readonly dead: number;
}

/** The machine whose steps the calls of the whole process are; one run at a time. */
let current: Machine | undefined;

/** Makes every request to the database, and every digest, a step of the process that asks. */
export function takeOver(): void {
  // Time does not pass for the breakers, so none opens: what they do follows the machine's clock otherwise, and not the seed.
  // To its caller, a refused call is one that fails without an effect, and schedules have these.
  resetBreakers(() => 0);
  const fetch = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    if (current?.process === undefined) return await fetch(input, init);
    return await current.call('database', `sql ${statementsOf(String(init?.body))}`, async () => {
      const { body, signal: _, ...rest } = init ?? {};
      const answer = await fetch(input, { ...rest, body: body ?? null });
      const bytes = await answer.arrayBuffer();
      // Read to its end, so that what follows needs no turn of the event loop.
      return { ok: answer.ok, status: answer.status, headers: answer.headers, ...bodyOf(bytes) } as Response;
    });
  };
  const { subtle } = crypto;
  const digest = subtle.digest.bind(subtle);
  subtle.digest = (...given) =>
    current === undefined ? digest(...given) : current.whileUnderWay(() => digest(...given));
}

function bodyOf(bytes: ArrayBuffer) {
  const text = () => new TextDecoder().decode(bytes);
  return {
    arrayBuffer: async () => bytes,
    text: async () => text(),
    json: async () => JSON.parse(text()) as unknown,
  };
}

/** The tables that a request touches, for the trace. */
function statementsOf(body: string): string {
  const found = body.matchAll(/(insert into|update|select) \\?"?(?:.{0,80}?from )?\\?"?([a-z_]+)/g);
  return [...new Set([...found].map(([, verb, table]) => `${verb?.split(' ')[0]} ${table}`))]
    .slice(0, 3)
    .join(', ');
}

/** Runs a schedule to its end, repairs the defects, replays the dead letters, and judges both times. */
export async function run(schedule: Schedule, database: SimulatedDatabase): Promise<Outcome> {
  current = undefined;
  await reset(database);
  using world = new World(schedule, database);
  const { machine } = world;
  current = machine;
  let dead = 0;
  const outcome = (violations: readonly string[]): Outcome => {
    current = undefined;
    const { trace, steps, faults } = machine;
    return { violations, trace, steps, faults, dead };
  };
  if (!(await machine.settle())) return outcome(['The run does not end.']);
  const before = await judge(world, database, false);
  if (before.length > 0) return outcome(before);
  dead = await countDead(database);
  machine.note('The defects are repaired, and the dead letters are replayed.');
  await mend(database);
  world.isMended = true;
  const replayed = world.replayDead();
  if (!(await machine.settle())) return outcome(['The run does not end after the replay.']);
  await replayed;
  const replayedWell = await judge(world, database, true);
  if (replayedWell.length > 0 || !schedule.rebuilds) return outcome(replayedWell);
  machine.note('Corrupt cells are rebuilt.');
  machine.allowFaults(REBUILD_FAULTS_MAX);
  const rebuilt = rebuildFeatures(world, database);
  if (!(await machine.settle())) return outcome(['The run does not end after the rebuild.']);
  await rebuilt;
  return outcome(await judge(world, database, true));
}
