import * as z from 'zod';
import { SEVERITIES, type Severity } from './rules.ts';
import type { Target } from './targets.ts';

/** What a notice says of an alert. */
const AlertNoticed = z.object({
  id: z.string(),
  alertname: z.string(),
  labels: z.record(z.string(), z.string()),
  severity: z.enum(SEVERITIES),
  state: z.enum(['pending', 'firing', 'resolved']),
  since: z.string(),
  summary: z.string(),
  description: z.string(),
  runbook: z.string(),
});
/** What a notice says of an incident. */
const IncidentNoticed = z.object({
  id: z.int(),
  title: z.string(),
  severity: z.enum(SEVERITIES),
  state: z.enum(['open', 'acknowledged', 'resolved']),
  openedAt: z.string(),
  by: z.string(),
  text: z.string(),
  /** The id of the alert that opened it; null for one that was opened by hand. */
  alert: z.string().nullable(),
});

/** What a notice says of an early warning. */
const WarningNoticed = z.object({
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  summary: z.string(),
  /** The page that says what it means. */
  page: z.string(),
});

/** The body of a generic webhook: `type`, `timestamp` and `data`, as Standard Webhooks recommends. */
export const Notice = z.object({
  type: z.enum([
    ...(['alert.firing', 'alert.escalated', 'alert.repeated', 'alert.resolved'] as const),
    ...(['incident.opened', 'incident.acknowledged', 'incident.updated', 'incident.resolved'] as const),
    ...(['warning.found', 'test'] as const),
  ]),
  timestamp: z.string(),
  data: z.object({
    alert: AlertNoticed.optional(),
    incident: IncidentNoticed.optional(),
    warning: WarningNoticed.optional(),
  }),
});
export type Notice = z.output<typeof Notice>;

/** Whether a target gets a notice. Everybody gets a test. */
export function isFor({ kind, severities, notices }: Target, { type, data }: Notice): boolean {
  if (type === 'test') return true;
  // PagerDuty would make an incident of it, which nothing ends.
  if (type === 'warning.found')
    return kind !== 'pagerduty' && notices.includes('warnings') && severities.includes('ticket');
  const severity = data.alert?.severity ?? data.incident?.severity;
  if (severity !== undefined && !severities.includes(severity)) return false;
  if (type.startsWith('alert.')) return notices.includes('alerts');
  if (!notices.includes('incidents')) return false;
  // PagerDuty has made its own incident of the alert; only what was opened by hand, and an acknowledgement, is news to it.
  if (kind !== 'pagerduty' || data.incident?.alert === null) return true;
  return type === 'incident.acknowledged';
}

/** The body that a target expects. */
export function bodyOf(target: Target, notice: Notice): string {
  switch (target.kind) {
    case 'generic':
      return JSON.stringify(notice);
    case 'slack':
      return JSON.stringify(slackMessage(notice));
    case 'pagerduty':
      return JSON.stringify(pagerDutyEvent(notice, target.routingKey));
  }
}

const SIGNS: Readonly<Record<Severity, string>> = { page: ':red_circle:', ticket: ':large_yellow_circle:' };

/** A message of an incoming webhook of Slack. */
function slackMessage(notice: Notice) {
  const text = lineOf(notice);
  const details = [notice.data.alert?.description, notice.data.incident?.text, runbookOf(notice)];
  const more = details.filter((detail) => detail !== undefined && detail !== '').join('\n');
  const section = (mrkdwn: string) => ({
    type: 'section',
    text: { type: 'mrkdwn', text: mrkdwn.slice(0, 2_900) },
  });
  return { text, blocks: [section(text), ...(more === '' ? [] : [section(escapedForSlack(more))])] };
}

function lineOf({ type, data: { alert, incident, warning } }: Notice): string {
  if (warning !== undefined) return `${SIGNS.ticket} *${warning.name}* ${escapedForSlack(warning.summary)}`;
  if (alert !== undefined) {
    const sign = type === 'alert.resolved' ? ':large_green_circle:' : SIGNS[alert.severity];
    const of = Object.values(alert.labels).join(', ');
    const name = of === '' ? alert.alertname : `${alert.alertname} (${of})`;
    return `${sign} *${escapedForSlack(name)}* ${alert.state}: ${escapedForSlack(alert.summary)}`;
  }
  if (incident !== undefined)
    return `Incident ${incident.id} ${type.slice('incident.'.length)}: *${escapedForSlack(incident.title)}*`;
  return 'A test of the notices of Millrace.';
}

function runbookOf({ data: { alert } }: Notice): string | undefined {
  return alert === undefined ? undefined : `Runbook: ${alert.runbook}`;
}

function escapedForSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** PagerDuty allows 1,024 characters. */
const SUMMARY_CHARACTERS_MAX = 1_024;
const PAGERDUTY_SEVERITY = { page: 'critical', ticket: 'warning' } as const satisfies Record<
  Severity,
  string
>;

/** An event of PagerDuty's Events API v2. `dedup_key` makes one incident of all events of an alert. */
function pagerDutyEvent({ type, timestamp, data: { alert, incident } }: Notice, routingKey: string) {
  const about = {
    routing_key: routingKey,
    event_action: actionOf(type),
    dedup_key:
      alert?.id ?? incident?.alert ?? (incident === undefined ? 'millrace-test' : `incident-${incident.id}`),
    client: 'Millrace',
  };
  if (about.event_action !== 'trigger') return about;
  const severity = alert?.severity ?? incident?.severity;
  return {
    ...about,
    payload: {
      summary: (alert?.summary ?? incident?.title ?? 'A test of the notices of Millrace.').slice(
        0,
        SUMMARY_CHARACTERS_MAX,
      ),
      source: alert?.labels['peer'] ?? alert?.labels['objective'] ?? 'millrace',
      severity: severity === undefined ? 'info' : PAGERDUTY_SEVERITY[severity],
      timestamp,
      class: alert?.alertname ?? type,
      custom_details: alert ?? incident ?? {},
    },
  };
}

function actionOf(type: Notice['type']): 'trigger' | 'acknowledge' | 'resolve' {
  if (type === 'alert.resolved' || type === 'incident.resolved') return 'resolve';
  return type === 'incident.acknowledged' ? 'acknowledge' : 'trigger';
}
