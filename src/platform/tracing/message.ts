import * as z from 'zod';

/** `traceparent` in a message of a queue. A value that is not valid is ignored where it is used, and loses no message. */
export const Traceparent = z.string().max(256);
