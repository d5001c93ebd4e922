import type { Incident, TimelineEntry } from './incident.ts';

const MINUTE_MS = 60_000;

/**
 * A draft in Markdown: what is known is filled in, and what only people know is left as a question. Text of people is quoted
 * as it is, with what Markdown and HTML would interpret escaped.
 */
export function postMortem(incident: Incident, timeline: readonly TimelineEntry[]): string {
  const { id, title, severity, openedMs, resolvedMs, acknowledgedMs, runbook } = incident;
  const facts = [
    ['Severity', severity],
    ['Began', momentOf(openedMs)],
    [
      'Acknowledged',
      acknowledgedMs === null
        ? 'never'
        : `${momentOf(acknowledgedMs)}, after ${minutes(acknowledgedMs - openedMs)}`,
    ],
    [
      'Ended',
      resolvedMs === null ? 'not yet' : `${momentOf(resolvedMs)}, after ${minutes(resolvedMs - openedMs)}`,
    ],
    ['Opened by', incident.openedBy],
    ...(runbook === null ? [] : [['Runbook', `[${runbook}](${runbook})`]]),
  ];
  return [
    `# Incident ${id}: ${escaped(title)}`,
    '',
    '> A draft from the timeline. Answer the questions, and remove this line.',
    '',
    '| | |',
    '| --- | --- |',
    ...facts.map(
      ([name, value]) => `| ${name} | ${value?.startsWith('[') === true ? value : escaped(value ?? '')} |`,
    ),
    '',
    '## What users noticed',
    '',
    ...impactLines(incident),
    '',
    '## What happened',
    '',
    '| time (UTC) | what | by | |',
    '| --- | --- | --- | --- |',
    ...timeline.map(
      ({ atMs, kind, by, text }) => `| ${momentOf(atMs)} | ${kind} | ${escaped(by)} | ${escaped(text)} |`,
    ),
    '',
    '## Why',
    '',
    ...suspects(timeline, openedMs),
    '- What was the cause? What made it possible?',
    '- Why was it not noticed earlier?',
    '',
    '## What went well, and what did not',
    '',
    '- Did the alert come in time, and was it the only one?',
    ...(runbook === null ? [] : [`- Was ${runbook} of use?`]),
    '',
    '## What we change',
    '',
    '| action | who | until |',
    '| --- | --- | --- |',
    '| | | |',
    '',
  ].join('\n');
}

function impactLines({ impact }: Incident): string[] {
  if (impact === null) return ['- Not counted yet: the incident goes on.'];
  const felt = Object.entries(impact).filter(([, { bad }]) => bad > 0);
  if (felt.length === 0) return ['- No objective counted a bad event meanwhile.'];
  return felt.map(
    ([objective, { bad, all }]) =>
      `- \`${objective}\`: ${bad} of ${all} events were bad (${((100 * bad) / Math.max(1, all)).toPrecision(3)} %).`,
  );
}

/** Deploys and changes of the hour before. */
function suspects(timeline: readonly TimelineEntry[], openedMs: number): string[] {
  return timeline
    .filter(({ kind, atMs }) => ['deploy', 'change', 'model'].includes(kind) && atMs <= openedMs)
    .map(({ atMs, text }) => `- ${minutes(openedMs - atMs)} before: ${escaped(text)}`);
}

function minutes(ms: number): string {
  const count = Math.round(ms / MINUTE_MS);
  return count === 1 ? '1 minute' : `${count} minutes`;
}

function momentOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Text in a cell of a table. */
function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll(/[\\`*_[\]|]/g, '\\$&')
    .replaceAll(/\s*\n\s*/g, ' ');
}
