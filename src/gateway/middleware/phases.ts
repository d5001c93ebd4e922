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

const RAW_TENSORS = /^\/v2\/models\/.+\/(infer|ready)$/;
const STARTS_TRAINING = /^\/v1\/training(\/[^/]+\/resume)?$/;

/**
 * Middleware that refuses what a phase that is switched off would have to do. Only these routes ask for the states, which the
 * isolate has from its syncs with the clock.
 *
 * @param isMethodOf whether the path has the method: one that it does not have is 405 in every state.
 */
export function phaseIsOn(
  statesOf: (c: Context<AppEnv>) => PhaseStates | Promise<PhaseStates>,
  isMethodOf: (c: Context<AppEnv>) => boolean,
) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const phase = isMethodOf(c) ? needsPhase(c.req.method, c.req.path) : undefined;
    if (phase !== undefined && (await statesOf(c))[phase] === 'off') throw phaseOff(phase);
    await next();
  });
}

export function phaseOff(phase: PhaseName): Failure {
  return new Failure('phase_off', `The phase ${phase} is switched off. Send the request again later.`, {
    retryAfterS: RETRY_AFTER_S,
  });
}
