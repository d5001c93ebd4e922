import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { RegisteredRollout, RolloutStep, RolloutsPorts } from '../../durable-objects/rollouts/object.ts';
import type { Catalog } from '../define/catalog.ts';
import type { RolloutPlan } from '../define/rollout.ts';
import type { RolloutRoutePorts } from '../gateway/routes/admin-rollouts.ts';
import { EvidenceRecord, STAGES, shareOf } from '../inference/rollout/evidence.ts';
import { isUnderWay, tagsOfMove } from '../inference/rollout/moves.ts';
import type { RolloutPorts } from '../inference/rollout/serve.ts';
import { type Challenger, RolloutWatch } from '../inference/rollout/watch.ts';
import { sleep, systemNow } from '../platform/clock.ts';
import { newId } from '../platform/ids.ts';
import { log } from '../platform/logger.ts';
import { connect, guarded } from '../storage/postgres/connect.ts';
import {
  listRollouts,
  moveRollout,
  type RolloutMove,
  type RolloutRow,
  readRollout,
  wasRolledOut,
} from '../storage/postgres/model-rollouts.ts';
import { listAliases } from '../storage/postgres/model-versions.ts';
import { TRAINER } from '../training/runs/run.ts';
import { championIn } from './champion.ts';
import { keepChampionCopy } from './champion-copy.ts';
import { invalidateTags } from './clock.ts';
import { databaseTarget } from './config.ts';
import type { Env } from './env.ts';
import type { BoundIsolate } from './isolate.ts';
import { outboxRelay, rollouts } from './objects.ts';
import { announce } from './writing.ts';

/** Who the registry and the audit log say moved a rollout, if nobody did by hand. */
const OBJECT = 'system:rollout';
/** Shadows that an isolate computes at once. The others are not compared. */
const SHADOWS_MAX = 4;

/** The ports of the object that watches a rollout: the registry, and the root clock. */
export function rolloutsPorts(env: Env, catalog: Pick<Catalog, 'models'>): RolloutsPorts {
  let connected: NeonHttpDatabase | undefined;
  // Connected with the first question and not with the object: with a wrong configuration, its constructor would throw.
  const db = () => {
    connected ??= connect(databaseTarget(env));
    return connected;
  };
  const move = async (wanted: RolloutMove): Promise<number | null> => {
    const tags = tagsOfMove(wanted.model, stageOf(wanted.stage));
    const moved = await guarded(() => moveRollout(db(), wanted, { principal: OBJECT, tags }));
    if (moved === null) return null;
    const { model, stage, share, reason, version } = wanted;
    const fields = {
      'event.action': 'rollout',
      'millrace.model.name': model,
      ...{ 'millrace.rollout.stage': stage, 'millrace.rollout.share': share, 'event.reason': reason },
      'millrace.model.version': version,
    };
    log(stage === 'rolled_back' ? 'warn' : 'info', 'A rollout took a step.', fields);
    try {
      await invalidateTags(env, tags);
    } catch (error) {
      log('warn', 'The relay invalidates a step of a rollout.', fields, error);
      await outboxRelay(env).arm();
    }
    if (wanted.isPromoted) await keepChampionCopy(env, championIn(db()), model);
    return moved.id;
  };
  const definitionOf = (model: string) => catalog.models.find(({ name }) => name === model);
  return {
    current: async (model) => {
      const row = await guarded(() => readRollout(db(), model));
      if (row === undefined || !isUnderWay(row.stage)) return undefined;
      const found = registered(row);
      const isByHand = found.record.startedBy !== OBJECT;
      const { champion, challenger } = await nextIn(db(), model);
      // What a person has started gives way to no version.
      const isNext = !isByHand && definitionOf(model)?.rollout?.start === 'automatic';
      return { ...found, champion, challenger: isNext ? challenger : null };
    },
    begin: async (model) => {
      const definition = definitionOf(model);
      const plan = definition?.rollout;
      if (plan?.start !== 'automatic') return;
      const { champion: base, challenger } = await nextIn(db(), model);
      if (challenger === null || base === null) return;
      const { version } = challenger;
      const before = await guarded(() => readRollout(db(), model));
      const hasLabels = definition?.feedback !== undefined;
      const after = before?.id ?? null;
      await move(beginning({ model, version, base, plan, hasLabels, by: OBJECT, after }));
    },
    move: (from, { position, reason, evidence }) => {
      const { row, model, rollout, version, base } = from;
      const at = { ...position, share: shareOf(evidence.plan, position), reason, evidence };
      return move({ ...{ model, rollout, version, base, after: row }, ...at, ...endOf(position.stage) });
    },
  };
}

/** What a step needs and does beside its row. */
function endOf(stage: string): Pick<RolloutMove, 'isPromoted' | 'needsBase'> {
  return { isPromoted: stage === 'champion', needsBase: stage !== 'rolled_back' };
}

interface Beginning {
  readonly model: string;
  readonly version: string;
  readonly base: string;
  readonly plan: RolloutPlan;
  /** Whether events say what came of an answer. */
  readonly hasLabels: boolean;
  readonly by: string;
  readonly after: number | null;
}

function beginning({ plan, hasLabels, by, ...of }: Beginning): RolloutMove {
  const { record } = RolloutWatch.begin(plan, by, systemNow(), hasLabels);
  const position = { stage: 'shadow', step: -1, share: 0, reason: 'started' } as const;
  return { ...of, rollout: newId(), ...position, evidence: record, ...endOf('shadow') };
}

/** A rollout as it goes on after its newest row. */
function registered(row: RolloutRow): Omit<RegisteredRollout, 'champion' | 'challenger'> {
  const { id, model, rollout, version, base, step, changedAt } = row;
  const watch = RolloutWatch.restore(row.evidence);
  watch.goOn({ stage: stageOf(row.stage), step }, Date.parse(changedAt));
  return { row: id, model, rollout, version, base, record: watch.record };
}

function stageOf(text: string): RolloutStep['position']['stage'] {
  const stage = STAGES.find((of) => of === text);
  if (stage === undefined) throw new Error(`A rollout has the unknown stage "${text}".`);
  return stage;
}

/** The champion, and the challenger if it has had no rollout against it. */
async function nextIn(
  db: NeonHttpDatabase,
  model: string,
): Promise<{ readonly champion: string | null; readonly challenger: Challenger | null }> {
  const aliases = await guarded(() => listAliases(db));
  const named = (alias: string) => aliases.find((of) => of.model === model && of.alias === alias);
  const [base, next] = [named('champion')?.version ?? null, named('challenger')];
  const version = next?.version ?? null;
  if (next === undefined || version === null || base === null || version === base)
    return { champion: base, challenger: null };
  const isOld = await guarded(() => wasRolledOut(db, { model, version, base }));
  return { champion: base, challenger: isOld ? null : { version, isByHand: next.changedBy !== TRAINER } };
}

async function aliasOf(db: NeonHttpDatabase, model: string, alias: string): Promise<string | null> {
  const aliases = await guarded(() => listAliases(db));
  return aliases.find((of) => of.model === model && of.alias === alias)?.version ?? null;
}

/** The ports of the routes that show, start and end rollouts. */
export function rolloutRoutePorts(
  bound: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
): RolloutRoutePorts {
  const { db, env } = bound;
  const move = async (wanted: RolloutMove, principal: string) => {
    const { model } = wanted;
    const tags = tagsOfMove(model, stageOf(wanted.stage));
    try {
      const { token } = await announce(bound, keepAlive, async () => {
        const moved = await moveRollout(db, wanted, { principal, tags });
        if (moved === null) throw new NotMoved();
        return moved;
      });
      if (wanted.isPromoted) keepAlive(keepChampionCopy(env, bound.registry.champion, model));
      keepAlive(wakeRollout(env, model));
      return token;
    } catch (error) {
      if (error instanceof NotMoved) return undefined;
      throw error;
    }
  };
  return {
    steps: (model, limit) => guarded(() => listRollouts(db, model, limit)),
    live: async (model) => {
      // What the object has seen since the newest row is of no use if it has to be waited for.
      const found = await rollouts(env, model)
        .live()
        .catch(() => null);
      return found === null ? null : { rollout: found.rollout, record: EvidenceRecord.parse(found.record) };
    },
    aliased: (model, alias) => aliasOf(db, model, alias),
    begin: (asked, principal) => move(beginning({ ...asked, by: principal }), principal),
    end: (row, { stage, reason }, principal) => {
      const { id: after, changedAt: _, changedBy: __, ...of } = row;
      const share = stage === 'champion' ? 100 : 0;
      return move({ ...of, after, stage, share, reason, ...endOf(stage) }, principal);
    },
  };
}

/** The registry did not take the step. */
class NotMoved extends Error {}

/** Lets the object of a model look where its rollout is. It never fails: the cron does the same each minute. */
export async function wakeRollout(env: Env, model: string): Promise<void> {
  try {
    await rollouts(env, model).wake(model);
  } catch (error) {
    const message = 'The object of a rollout did not answer; the cron asks it again.';
    log('warn', message, { 'event.action': 'rollout', 'millrace.model.name': model }, error);
  }
}

/** Lets the objects of all models with rollouts look. */
export async function wakeRollouts({ env, isolate }: BoundIsolate): Promise<void> {
  const rolling = isolate.catalog.models.filter((model) => model.rollout !== undefined);
  await Promise.all(rolling.map(({ name }) => wakeRollout(env, name)));
}

/** What answers of a request need of rollouts. */
export function rolloutServing(
  { env, isolate, observation }: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
): RolloutPorts {
  const reporting = {
    ...{ now: systemNow, pause: sleep, keepAlive },
    send: (model: string, report: Parameters<ReturnType<typeof rollouts>['report']>[1]) =>
      rollouts(env, model).report(model, report),
    lost: observation.rolloutLost,
  };
  return {
    saw: (model, rollout, arm, outcome) => isolate.rollouts.saw(model, rollout, arm, outcome, reporting),
    pause: sleep,
    beginShadow: () => isolate.rollouts.beginShadow(SHADOWS_MAX, systemNow()),
    endShadow: () => isolate.rollouts.endShadow(),
  };
}
