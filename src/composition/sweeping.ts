import { systemNow } from '../platform/clock.ts';
import { calling, Failure } from '../platform/failure.ts';
import type { Env } from './env.ts';
import { type DatabasePlace, outboxRelay } from './objects.ts';

/** How long a request waits for a sweep, in milliseconds. The sweep goes on after it. */
const SWEEP_MS_MAX = 50_000;
const AGAIN_S = 5;

/**
 * Relays everything that was committed before the call, step by step.
 *
 * @returns how many changes were relayed meanwhile.
 * @throws Failure `relay_unavailable` if a step makes no progress, or the sweep takes longer than a request may.
 */
export async function sweepInSteps(
  env: Pick<Env, 'OUTBOX_RELAY'> & DatabasePlace,
): Promise<{ readonly relayed: number }> {
  const endMs = systemNow() + SWEEP_MS_MAX;
  let relayed = 0;
  for (;;) {
    const detail = 'The relay did not end its sweep.';
    const step = await calling(() => outboxRelay(env).sweepStep(), 'relay_unavailable', detail, AGAIN_S);
    relayed += step.relayed;
    if (step.isOver) return { relayed };
    if (systemNow() < endMs) continue;
    const more = `The relay has relayed ${relayed} changes, and goes on. Send the request again for the others.`;
    throw new Failure('relay_unavailable', more, { retryAfterS: AGAIN_S });
  }
}
