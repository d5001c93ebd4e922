import * as z from 'zod';
import { SEVERITIES } from './rules.ts';

/** The most targets. Each has a queue of its own. */
const TARGETS_MAX = 8;
const PAGERDUTY_URL = 'https://events.pagerduty.com/v2/enqueue';
/** Names that no public receiver has. */
const INNER_NAMES = /(^|\.)(localhost|local|internal|intranet|home|lan|arpa)$/;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

export const NOTICE_KINDS = ['alerts', 'incidents', 'warnings'] as const;

const common = {
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'expected a name of lower-case letters, digits and "-"'),
  severities: z
    .array(z.enum(SEVERITIES))
    .min(1)
    .default([...SEVERITIES]),
  notices: z
    .array(z.enum(NOTICE_KINDS))
    .min(1)
    .default([...NOTICE_KINDS]),
};

/** A key of Standard Webhooks: 24 to 64 bytes in base64 after `whsec_`. */
const SigningSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, 'expected whsec_ and 24 to 64 bytes in base64');

/** The variable `ALERT_WEBHOOKS`. */
function targetsSchema(isLocal: boolean) {
  const address = z
    .string()
    .max(2_000)
    .refine(
      (text) => isReceiver(text, isLocal),
      'expected an https:// URL of a public host name, without credentials',
    );
  return z
    .array(
      z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('generic'), ...common, url: address, secret: SigningSecret }),
        z.strictObject({ kind: z.literal('slack'), ...common, url: address }),
        z.strictObject({
          kind: z.literal('pagerduty'),
          ...common,
          url: address.default(PAGERDUTY_URL),
          routingKey: z
            .string()
            .regex(/^[A-Za-z0-9]{16,64}$/, 'expected an integration key of Events API v2'),
        }),
      ]),
    )
    .max(TARGETS_MAX)
    .refine(
      (targets) => new Set(targets.map(({ name }) => name)).size === targets.length,
      'two have the same name',
    );
}

/** Where notices go. It has secrets: do not show it. */
export type Target = z.output<ReturnType<typeof targetsSchema>>[number];

/** Where the notices of one target are, for people. */
export interface TargetStatus {
  readonly name: string;
  readonly kind: Target['kind'];
  readonly waiting: number;
  /** When the oldest one that waits was queued, in milliseconds since the Unix epoch. */
  readonly oldestMs: number | null;
  readonly deliveredMs: number | null;
  readonly failedMs: number | null;
  /** Why the newest attempt failed; null if it did not. */
  readonly lastError: string | null;
  /** Notices that were given up. */
  readonly dropped: number;
}

/**
 * Whether notices may be sent to an address: to a public host by https, so that nobody who writes the configuration reaches
 * what only the worker can. The local stack may also send to its own machine.
 */
export function isReceiver(text: string, isLocal: boolean): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return false;
  if (isLocal && url.protocol === 'http:' && LOOPBACK.has(url.hostname)) return true;
  const host = url.hostname.replace(/\.$/, '');
  const isAddress = host.startsWith('[') || /^[\d.]+$/.test(host);
  return url.protocol === 'https:' && !isAddress && host.includes('.') && !INNER_NAMES.test(host);
}

/**
 * The targets of a configuration.
 *
 * @param text JSON; undefined for no target.
 * @throws Error that names what is wrong, without a value.
 */
export function parseTargets(text: string | undefined, isLocal: boolean): Target[] {
  if (text === undefined || text.trim() === '') return [];
  const parsed = targetsSchema(isLocal).safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new Error(`ALERT_WEBHOOKS is invalid: ${faults.join('; ')}.`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('ALERT_WEBHOOKS is no JSON.');
  }
}
