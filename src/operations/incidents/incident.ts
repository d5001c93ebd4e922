import * as z from 'zod';
import type { AlertEvent } from '../alerts/alerts.ts';
import { groupKey, nameOf } from '../alerts/alerts.ts';
import { SEVERITIES, type Severity } from '../alerts/rules.ts';

/** The most characters of a note, of a title, and of an entry that Millrace writes. */
export const NOTE_CHARACTERS_MAX = 4_000;
export const TITLE_CHARACTERS_MAX = 200;
/** The most entries of a timeline. Beyond, only changes of state are added, which are few. */
export const ENTRIES_MAX = 500;
/** The most incidents that are kept; the oldest resolved one goes first. */
export const INCIDENTS_MAX = 500;
/** An alert that fires again so soon opens its incident again, in milliseconds. */
const REOPEN_MS = 900_000;

export const INCIDENT_STATES = ['open', 'acknowledged', 'resolved'] as const;
/** Who acts where no person does. */
export const BY_ALERTS = 'system:alerts';

const Counted = z.object({ bad: z.number(), all: z.number() });

export const Incident = z.object({
  id: z.int(),
  title: z.string(),
  severity: z.enum(SEVERITIES),
  state: z.enum(INCIDENT_STATES),
  openedMs: z.int(),
  acknowledgedMs: z.int().nullable(),
  resolvedMs: z.int().nullable(),
  openedBy: z.string(),
  acknowledgedBy: z.string().nullable(),
  /** The id of the alert that opened it, and its group; null for an incident that was opened by hand. */
  alert: z.string().nullable(),
  group: z.string().nullable(),
  runbook: z.string().nullable(),
  /** The name of the cause, as the graph of services has it. */
  cause: z.string().nullable(),
  /** Bad and all events of each objective, from its begin to its end; null while it goes on. */
  impact: z.record(z.string(), Counted).nullable(),
  /** Up to when the audit log was read for its timeline, in milliseconds; null for not yet. */
  changesMs: z.int().nullable(),
});
export type Incident = z.output<typeof Incident>;

export const ENTRY_KINDS = ['state', 'alert', 'effect', 'deploy', 'change', 'model', 'note'] as const;

/** An entry of a timeline. */
export const TimelineEntry = z.object({
  atMs: z.int(),
  kind: z.enum(ENTRY_KINDS),
  by: z.string(),
  text: z.string(),
});
export type TimelineEntry = z.output<typeof TimelineEntry>;

/** An incident with its timeline, the oldest entry first. */
export interface IncidentWithTimeline {
  readonly incident: Incident;
  readonly timeline: readonly TimelineEntry[];
}

/** Which incidents are listed, the newest first. */
export interface IncidentFilter {
  readonly state?: Incident['state'] | undefined;
  /** Only incidents whose id is less than this one. */
  readonly before?: number | undefined;
  readonly limit: number;
}

/** An incident, as somebody opens it. */
export const NewIncident = z.object({
  title: z.string().min(1).max(TITLE_CHARACTERS_MAX),
  severity: z.enum(SEVERITIES),
  text: z.string().max(NOTE_CHARACTERS_MAX),
});
export type NewIncident = z.output<typeof NewIncident>;

/** What people do to an incident. */
export const IncidentAct = z.discriminatedUnion('do', [
  z.object({ do: z.literal('acknowledge') }),
  z.object({ do: z.literal('note'), text: z.string().min(1).max(NOTE_CHARACTERS_MAX) }),
  z.object({ do: z.literal('resolve'), text: z.string().max(NOTE_CHARACTERS_MAX) }),
  z.object({ do: z.literal('severity'), severity: z.enum(SEVERITIES) }),
]);
export type IncidentAct = z.output<typeof IncidentAct>;

/** What an act or an event makes of an incident. */
export interface IncidentStep {
  readonly incident: Omit<Incident, 'id'>;
  readonly entry: TimelineEntry;
  /** What stakeholders are told; undefined for nothing. */
  readonly told: 'opened' | 'acknowledged' | 'updated' | 'resolved' | undefined;
}

/** An incident that nobody has acknowledged. */
function opened(
  of: Pick<Incident, 'title' | 'severity' | 'openedMs' | 'openedBy'> & Partial<Incident>,
): Omit<Incident, 'id'> {
  return {
    ...{
      state: 'open',
      acknowledgedMs: null,
      acknowledgedBy: null,
      resolvedMs: null,
      alert: null,
      group: null,
    },
    ...{ runbook: null, cause: null, impact: null, changesMs: null },
    ...of,
  };
}

export function openedByHand(
  { title, severity, text }: NewIncident,
  by: string,
  nowMs: number,
): IncidentStep {
  const incident = opened({ title, severity, openedMs: nowMs, openedBy: by });
  const entry = {
    atMs: nowMs,
    kind: 'state',
    by,
    text: text === '' ? 'Opened.' : `Opened: ${text}`,
  } as const;
  return { incident, entry, told: 'opened' };
}

/** @returns undefined if the act changes nothing: the incident has ended, or is acknowledged already. */
export function acted(
  incident: Incident,
  act: IncidentAct,
  by: string,
  nowMs: number,
): IncidentStep | undefined {
  const entry = (text: string, kind: 'state' | 'note' = 'state') => ({ atMs: nowMs, kind, by, text });
  if (act.do === 'note') return { incident, entry: entry(act.text, 'note'), told: 'updated' };
  if (incident.state === 'resolved') return undefined;
  switch (act.do) {
    case 'acknowledge':
      if (incident.state === 'acknowledged') return undefined;
      return {
        incident: { ...incident, state: 'acknowledged', acknowledgedMs: nowMs, acknowledgedBy: by },
        entry: entry('Acknowledged.'),
        told: 'acknowledged',
      };
    case 'resolve':
      return {
        incident: { ...incident, state: 'resolved', resolvedMs: nowMs },
        entry: entry(act.text === '' ? 'Resolved.' : `Resolved: ${act.text}`),
        told: 'resolved',
      };
    case 'severity':
      if (incident.severity === act.severity) return undefined;
      return {
        incident: { ...incident, severity: act.severity },
        entry: entry(`Severity ${act.severity}, until now ${incident.severity}.`),
        told: 'updated',
      };
  }
}

/** What an alert does: a page opens an incident, or opens its own one again; its end resolves that. */
export function ofAlert(
  { type, alert }: AlertEvent,
  known: readonly Incident[],
  nowMs: number,
): { readonly id: number | undefined; readonly step: IncidentStep } | undefined {
  const group = groupKey({ alertname: alert.alertname, ...alert.labels });
  const own = known.find((incident) => incident.group === group && isCurrent(incident, nowMs));
  const name = nameOf({ alertname: alert.alertname, ...alert.labels });
  const entry = (text: string) => ({ atMs: nowMs, kind: 'alert', by: BY_ALERTS, text }) as const;
  if (type === 'resolved') {
    if (own === undefined || own.state === 'resolved') return undefined;
    const incident = { ...own, state: 'resolved', resolvedMs: nowMs } as const;
    return { id: own.id, step: { incident, entry: entry(`${name} is resolved.`), told: 'resolved' } };
  }
  if (type === 'repeated' || severityOpens(alert.severity) === false) return undefined;
  const fires = entry(`${name} fires: ${alert.summary} ${alert.description}`);
  if (own !== undefined) {
    const isAgain = own.state === 'resolved';
    const incident = isAgain ? ({ ...own, state: 'open', resolvedMs: null, impact: null } as const) : own;
    return { id: own.id, step: { incident, entry: fires, told: isAgain ? 'opened' : 'updated' } };
  }
  const incident = opened({
    ...{ title: `${name}: ${alert.summary}`.slice(0, TITLE_CHARACTERS_MAX), severity: alert.severity },
    ...{ openedMs: nowMs, openedBy: BY_ALERTS, alert: alert.id, group, runbook: alert.runbook },
    cause: alert.labels['peer'] ?? null,
  });
  return { id: undefined, step: { incident, entry: fires, told: 'opened' } };
}

function severityOpens(severity: Severity): boolean {
  return severity === 'page';
}

function isCurrent({ resolvedMs }: Incident, nowMs: number): boolean {
  return resolvedMs === null || nowMs - resolvedMs <= REOPEN_MS;
}
