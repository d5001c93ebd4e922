import * as z from 'zod';

/** Bounds of one event; the specification asks intermediaries to take at least 64 KB. */
export const EVENT_BYTES_MAX = 65_536;
export const BATCH_EVENTS_MAX = 1_000;

/** A Unicode string that Postgres can store: it has no NUL and no lone surrogate. */
const Text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here (CloudEvents 1.0.2, "String").
    .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'Control characters are not allowed.')
    .refine((text) => text.isWellFormed(), 'Unpaired surrogates are not allowed.');

/** The attributes of a CloudEvents 1.0 event in JSON that we read; extensions are taken and left aside. */
export const CloudEvent = z.object({
  specversion: z.literal('1.0'),
  id: Text(256),
  source: Text(512),
  type: Text(256),
  subject: Text(512).nullish(),
  time: z.iso.datetime({ offset: true, message: 'Expected an RFC 3339 timestamp.' }).optional(),
  datacontenttype: z
    .string()
    .max(128)
    .regex(/^application\/([\w.+-]+\+)?json\b/i, 'Only JSON data is taken.')
    .optional(),
  data: z.unknown(),
});
export type CloudEvent = z.output<typeof CloudEvent>;
