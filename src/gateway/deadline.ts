import { z } from '@hono/zod-openapi';
import { systemTime } from '../platform/clock.ts';
import { Deadline } from '../platform/deadline.ts';
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
