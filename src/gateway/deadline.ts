import { z } from '@hono/zod-openapi';
import { systemTime } from '../platform/clock.ts';
import { Deadline, DeadlinePassed } from '../platform/deadline.ts';
import { Failure } from '../platform/failure.ts';

const HEADER = 'Millrace-Deadline-Ms';
/** Less than the way to an object takes. */
const DEADLINE_MS_MIN = 5;
/** Longer than a cold model takes to load. */
const DEADLINE_MS_MAX = 10_000;

/** The request header by which a client says how long it waits. */
export const deadlineHeader = {
  'millrace-deadline-ms': z.coerce
    .number()
    .int()
    .min(DEADLINE_MS_MIN)
    .max(DEADLINE_MS_MAX)
    .optional()
    .openapi({
      description:
        'How long the client waits for the model, in milliseconds, before the declared fallback answers. By default the deployment decides.',
    }),
};

/**
 * Settles with the work. If the request names a deadline and it passes before, nothing can stand in for tensors, so the
 * request fails, and the work goes on for later requests.
 *
 * @throws Failure `invalid_request`, `model_unavailable`
 */
export async function withinNamed<T>(
  request: Request,
  keepAlive: (promise: Promise<unknown>) => void,
  work: () => Promise<T>,
): Promise<T> {
  if (!request.headers.has(HEADER)) return await work();
  const deadline = deadlineOf(request, DEADLINE_MS_MAX);
  const working = work();
  try {
    return await deadline.within(working);
  } catch (error) {
    if (!(error instanceof DeadlinePassed)) throw error;
    keepAlive(working.catch(() => undefined));
    throw new Failure('model_unavailable', `The model did not answer within ${HEADER}.`, { retryAfterS: 1 });
  }
}

/**
 * The deadline of a request, from now on.
 *
 * @param byDefaultMs of a request without the header.
 * @throws Failure `invalid_request`
 */
export function deadlineOf({ headers }: Request, byDefaultMs: number): Deadline {
  const sent = headers.get(HEADER);
  if (sent === null) return new Deadline(systemTime, byDefaultMs);
  const ms = /^\d{1,6}$/.test(sent) ? Number(sent) : Number.NaN;
  if (ms >= DEADLINE_MS_MIN && ms <= DEADLINE_MS_MAX) return new Deadline(systemTime, ms);
  throw new Failure(
    'invalid_request',
    `${HEADER} is a whole number from ${DEADLINE_MS_MIN} to ${DEADLINE_MS_MAX}.`,
    { pointer: HEADER },
  );
}
