import { ANONYMOUS, type Principal } from '../../define/principal.ts';
import { Failure } from '../../platform/failure.ts';
import { type AccessPorts, type Asking, admit } from '../middleware/authorize.ts';
import type { Charge, Charging } from './charging.ts';

/** What charging the reader of a cached route needs. One object for all requests of an isolate. */
export interface ReaderPorts extends AccessPorts {
  readonly charging: Charging;
}

/**
 * Charges a reader for an answer from memory, if there is one. Without a promise while the isolate has a grant or credit.
 *
 * @param headers those of the request: each look at them there costs a warm hit a call of the runtime.
 * @param principal undefined if the route asks for no key. The address pays then; once its budget is used up, the key pays
 *   that the reader may have sent.
 * @throws LimitFailure
 */
export function chargeHit(
  c: Asking,
  headers: Headers,
  principal: Principal | undefined,
  access: ReaderPorts,
): undefined | Promise<void> {
  const { charging } = access;
  const refusal = charging.hit(headers, c.executionCtx, principal);
  if (refusal === undefined) return undefined;
  if (refusal instanceof Promise)
    return refusal.then(async (late) => {
      if (late !== undefined) await chargeKeyInstead(c, principal, access, () => charging.throwIf(late));
    });
  if (principal !== undefined || !headers.has('authorization')) charging.throwIf(refusal);
  return chargeKeyInstead(c, principal, access, () => charging.throwIf(refusal));
}

async function chargeKeyInstead(
  c: Asking,
  principal: Principal | undefined,
  access: ReaderPorts,
  refuse: () => void,
): Promise<void> {
  const payer = principal === undefined ? await payerOf(c, access) : ANONYMOUS;
  if (payer.kind === 'anonymous') return refuse();
  access.charging.throwIf(await access.charging.hit(c.req.raw.headers, c.executionCtx, payer));
}

/** Charges a reader who is about to wait for the origin. @throws LimitFailure */
export async function chargeFill(
  c: Asking,
  principal: Principal | undefined,
  charge: Charge,
  access: ReaderPorts,
): Promise<void> {
  const payer = principal ?? (await payerOf(c, access));
  await access.charging.charge({ http: c.req.raw, ctx: c.executionCtx }, payer, charge);
}

/** Who pays for a public answer: the key that its reader sent, if it is valid. The answer itself asks for none. */
async function payerOf(c: Asking, access: AccessPorts): Promise<Principal> {
  try {
    return await admit(c, { isPublic: true, scope: undefined }, access);
  } catch (error) {
    if (error instanceof Failure && error.code !== 'rate_limited') return ANONYMOUS;
    throw error;
  }
}
