import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { Failure } from '../../platform/failure.ts';
import type { PhaseName, PhaseStates } from '../../platform/phases.ts';
import type { AppEnv } from '../context.ts';
import { type RouteRule, ruleOf } from '../route-rules.ts';

/** How long a client waits before it asks again whether a phase is on. An operator decides, so no time is the right one. */
const RETRY_AFTER_S = 30;

/**
 * The phase without which a route has no answer at all; undefined for one that still answers. A route that reads what is
 * stored answers while its phase is off, a view goes past the cache, and a prediction for an entity has its fallback.
 */
export function needsPhase(method: string, path: string): PhaseName | undefined {
  const rule = ruleOf(method, path);
  if (rule === undefined) return undefined;
  const { phase, cost } = rule;
  if (phase === 'pipeline') return takesInput(rule) ? phase : undefined;
  if (phase !== 'inference') return undefined;
  if (cost === 'features') return phase;
  if (cost === 'prediction') return RAW_TENSORS.test(path) ? phase : undefined;
  return STARTS_TRAINING.test(path) && method === 'POST' ? phase : undefined;
}

function takesInput({ cost }: RouteRule): boolean {
  return cost === 'event' || cost === 'write';
}

const MODEL_OF_TENSORS = /^\/v2\/models\/([^/]+)\//;
const RAW_TENSORS = /^\/v2\/models\/.+\/(infer|ready)$/;
const STARTS_TRAINING = /^\/v1\/training(\/[^/]+\/resume)?$/;

/**
 * Middleware that refuses what a phase that is switched off would have to do. Only these routes ask for the states, which the
 * isolate has from its syncs with the clock.
 *
 * @param isMethodOf whether the path has the method: one that it does not have is 405 in every state.
 * @param admit throws for a sender who may not ask: some of these routes look at the key only later, themselves.
 */
export function phaseIsOn(
  statesOf: (c: Context<AppEnv>) => PhaseStates | Promise<PhaseStates>,
  isMethodOf: (c: Context<AppEnv>) => boolean,
  admit: (c: Context<AppEnv>) => unknown,
) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const phase = needsPhase(c.req.method, c.req.path);
    // The methods of a path take a search of the router for each, so they are asked for last.
    if (phase !== undefined && (await statesOf(c))[phase] === 'off' && isMethodOf(c)) {
      if (c.get('principal') === undefined) await admit(c);
      throw phaseOff(phase);
    }
    await next();
  });
}

/**
 * Whether a path may be readable without a key. A read of features names its entity in the body, which nobody has read
 * yet, so one public entity makes it readable.
 */
export function mayBePublic(
  path: string,
  {
    models,
    entities,
  }: {
    readonly models: readonly { readonly name: string; readonly isPublic: boolean }[];
    readonly entities: readonly { readonly isPublic: boolean }[];
  },
): boolean {
  const [, model] = MODEL_OF_TENSORS.exec(path) ?? [];
  if (model !== undefined) return models.some(({ name, isPublic }) => isPublic && name === model);
  return entities.some(({ isPublic }) => isPublic);
}

export function phaseOff(phase: PhaseName): Failure {
  return new Failure('phase_off', `The phase ${phase} is switched off. Send the request again later.`, {
    retryAfterS: RETRY_AFTER_S,
  });
}
