import * as z from 'zod';
import type { Labels } from './graph.ts';

/** The most silences and maintenance windows that are kept, ended ones included. */
export const SILENCES_MAX = 200;
/** The longest silence, in milliseconds: 30 days. */
export const SILENCE_MS_MAX = 30 * 86_400_000;
/** How long an ended silence is shown, in milliseconds: seven days. */
export const ENDED_KEPT_MS = 7 * 86_400_000;
const MATCHERS_MAX = 10;

/** The labels of alerts. */
export const ALERT_LABELS = ['alertname', 'severity', 'objective', 'peer', 'window', 'route'] as const;

/** A condition on a label: `=`, or `!=`. A value may end in `*`, for every value that begins so. */
export const SilenceMatcher = z.strictObject({
  label: z.enum(ALERT_LABELS),
  is: z.enum(['=', '!=']).default('='),
  value: z.string().max(200),
});
export type SilenceMatcher = z.output<typeof SilenceMatcher>;

export const SILENCE_KINDS = ['silence', 'maintenance'] as const;
export type SilenceKind = (typeof SILENCE_KINDS)[number];

/** Alerts that fulfil all matchers notify nobody and open no incident. A maintenance window is a planned silence. */
export const Silence = z.object({
  id: z.string().max(64),
  kind: z.enum(SILENCE_KINDS),
  matchers: z.array(SilenceMatcher).max(MATCHERS_MAX),
  startsMs: z.int(),
  endsMs: z.int(),
  /** Who made it, as the audit log names a principal. */
  author: z.string().max(512),
  comment: z.string().max(1_000),
});
export type Silence = z.output<typeof Silence>;

/** A silence, as somebody asks for it. */
export const NewSilence = Silence.omit({ id: true });
export type NewSilence = z.output<typeof NewSilence>;

export type SilenceState = 'pending' | 'active' | 'ended';

export function silenceState({ startsMs, endsMs }: Silence, nowMs: number): SilenceState {
  if (nowMs >= endsMs) return 'ended';
  return nowMs < startsMs ? 'pending' : 'active';
}

/** The silence that withholds the notification of an alert with these labels; undefined for none. */
export function silencing(silences: readonly Silence[], labels: Labels, nowMs: number): Silence | undefined {
  return silences.find(
    (silence) =>
      silenceState(silence, nowMs) === 'active' &&
      silence.matchers.every(({ label, is, value }) => isLike(value, labels[label] ?? '') === (is === '=')),
  );
}

function isLike(pattern: string, value: string): boolean {
  return pattern.endsWith('*') ? value.startsWith(pattern.slice(0, -1)) : value === pattern;
}
