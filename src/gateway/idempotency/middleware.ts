import type { Context, Next } from 'hono';
import { createMiddleware } from 'hono/factory';
import { ANONYMOUS, principalKey } from '../../define/principal.ts';
import { sha256Hex } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import { newId } from '../../platform/ids.ts';
import { log } from '../../platform/logger.ts';
import { seal, unseal } from '../../platform/seal.ts';
import { readSent } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { unitsOf } from '../limits/weights.ts';
import { ruleOf } from '../route-rules.ts';
import { bytesOf, isPassing, responseOf } from './answer.ts';
import { fingerprintOf } from './fingerprint.ts';
import { keyIn, takesIdempotencyKey } from './key.ts';
import type { Begun, IdempotencyPort } from './port.ts';

/** As large as the largest body of a route that takes a key: a batch of events. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;
/** Most requests take less than this. */
const IN_FLIGHT_RETRY_S = 1;

/** A request under its key. */
interface Attempt {
  readonly id: string;
  readonly lease: string;
  /** Decrypts the kept answer. The object that keeps it never has it. */
  readonly secret: string;
}

/**
 * Middleware for `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a request with a key is carried out
 * once, and a repetition gets the answer of the first. It comes after authorization and limits, so a repetition needs the
 * same rights and is charged too, with what the key itself costs. A request without the header passes at once.
 *
 * @param isRouted whether a route has the method and the path of the request.
 */
export function idempotent(
  portOf: PortsOf<IdempotencyPort>,
  charge: Gateway['charge'],
  isRouted: (c: Context<AppEnv>) => boolean,
) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const header = c.req.header('idempotency-key');
    if (header === undefined || !takesIdempotencyKey(c.req.method, c.req.path) || !isRouted(c))
      return await next();
    const key = keyIn(header);
    const cost = ruleOf(c.req.method, c.req.path)?.cost ?? 'write';
    await charge(c, { cost, units: unitsOf('idempotencyKey') });
    const work = answered(c, portOf(c), key, next);
    // A client that hangs up does not end the work: its repetition will ask for the answer.
    c.executionCtx.waitUntil(work.catch(() => undefined));
    return await work;
  });
}

async function answered(
  c: Context<AppEnv>,
  port: IdempotencyPort,
  key: string,
  next: Next,
): Promise<Response | undefined> {
  const sent = c.req.raw;
  const body = await readSent(sent, BODY_BYTES_MAX);
  if (sent.body !== null) c.req.raw = new Request(sent, { body });
  const principal = principalKey(c.get('principal') ?? ANONYMOUS);
  const attempt = {
    id: await sha256Hex(JSON.stringify([principal, key])),
    lease: newId(),
    secret: JSON.stringify([key, principal]),
  };
  const begun = await begin(c, port, attempt, await fingerprintOf(sent, body));
  if (begun.state === 'done') return await replayed(c, attempt, begun);
  throwUnlessNew(begun.state);
  await next();
  await end(c, port, attempt);
  return undefined;
}

/** @throws Failure `idempotency_unavailable`; then nothing was done. */
async function begin(
  c: Context<AppEnv>,
  port: IdempotencyPort,
  { id, lease }: Attempt,
  fingerprint: string,
): Promise<Begun> {
  try {
    return await port.begin(id, fingerprint, lease);
  } catch (cause) {
    // The call may take effect late. Calls of one isolate arrive in order, so this one frees the key again.
    c.executionCtx.waitUntil(port.release(id, lease).catch(() => undefined));
    const detail =
      'The store of idempotency keys does not answer, and nothing was done. Send the request again.';
    throw new Failure('idempotency_unavailable', detail, { retryAfterS: 1, cause });
  }
}

function throwUnlessNew(state: 'new' | 'in_flight' | 'reused' | 'full'): void {
  switch (state) {
    case 'new':
      return;
    case 'in_flight':
      throw new Failure(
        'idempotency_in_flight',
        'An earlier request with this Idempotency-Key is under way. Send the request again to get its answer.',
        { pointer: 'Idempotency-Key', retryAfterS: IN_FLIGHT_RETRY_S },
      );
    case 'reused':
      throw new Failure(
        'idempotency_key_reused',
        'Another request has used this Idempotency-Key within 24 hours. Send this one with a new key.',
        { pointer: 'Idempotency-Key' },
      );
    case 'full':
      throw new Failure(
        'idempotency_unavailable',
        'The store of idempotency keys is full, and nothing was done. Send the request later.',
        { retryAfterS: 3_600 },
      );
  }
}

async function replayed(
  c: Context<AppEnv>,
  { id, secret }: Attempt,
  { status, answer }: Extract<Begun, { state: 'done' }>,
): Promise<Response> {
  // The first request has its entry in the audit log, and this one changes nothing.
  c.set('isAudited', true);
  if (answer !== null) return responseOf(await unseal(secret, id, answer));
  throw new Failure(
    'idempotency_answer_omitted',
    `The request was carried out with status ${status}, and its answer was too large to keep. Read what it changed.`,
    { pointer: 'Idempotency-Key' },
  );
}

/** Keeps the answer, or frees the key of a request that may succeed later. The answer is given whatever becomes of this. */
async function end(c: Context<AppEnv>, port: IdempotencyPort, { id, lease, secret }: Attempt): Promise<void> {
  const { status } = c.res;
  const ending = async () => {
    if (isPassing(status)) return await port.release(id, lease);
    const bytes = await bytesOf(c.res);
    const answer = bytes === undefined ? null : await seal(secret, id, bytes);
    if (!(await port.keep(id, lease, status, answer)))
      log(
        'warn',
        'A request took longer than its idempotency key was reserved for. Its answer was not kept.',
        {
          'event.action': 'idempotency',
        },
      );
    return undefined;
  };
  try {
    await ending();
  } catch (error) {
    log(
      'warn',
      'The answer to a request with an idempotency key could not be kept. A repetition is carried out again once its lease ends.',
      { 'event.action': 'idempotency' },
      error,
    );
  }
}
