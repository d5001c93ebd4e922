import type { Violation } from '../../test/support/coherence/judge.ts';
import type { History } from './history.ts';

/** Violations are printed with their surroundings up to this number; all are counted. */
const TRACES_MAX = 5;
/** Writes around a violation's read that are printed. */
const WRITES_AROUND = 6;

/** The whole of a run as lines of text. */
export function report(history: History, violations: readonly Violation[], seconds: number): string[] {
  const writes = history.allWrites();
  const of = (kind: string) => writes.filter((write) => write.kind === kind);
  const puts = of('api');
  return [
    `reads answered: ${number(history.answered)} in ${seconds.toFixed(1)} s, ${number(history.answered / seconds)}/s; versions judged: ${number(history.reads.length)}`,
    ...group(history, 'read/'),
    'requests to read without an answer:',
    ...group(history, 'unanswered/'),
    `writes by PUT and DELETE: ${number(puts.length)}, acknowledged: ${number(puts.filter(({ acknowledged }) => acknowledged).length)}`,
    ...group(history, 'write/'),
    `writes by SQL and outbox: ${number(of('sql').length)}`,
    `purchases: ${number(of('event').length)}, acknowledged: ${number(of('event').filter(({ acknowledged }) => acknowledged).length)}`,
    ...group(history, 'purchase/'),
    `deletions among all writes: ${number(writes.filter(({ absent }) => absent).length)}`,
    'disturbances:',
    ...group(history, 'disturbance/'),
    'statements of the worker on their way to the database:',
    ...group(history, 'statement/'),
    'warnings and errors that the worker logged:',
    ...group(history, 'logged/'),
    `violations: ${violations.length + history.breaches.length}`,
    ...byRule(violations),
    ...traced(violations).flatMap((violation) => trace(history, violation)),
    ...history.breaches.slice(0, TRACES_MAX).map((breach) => `  ${breach}`),
  ];
}

function group({ counts }: History, prefix: string): string[] {
  const lines = [...counts].filter(([name]) => name.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
  return lines.map(
    ([name, count]) => `  ${name.slice(prefix.length).padEnd(48)} ${number(count).padStart(9)}`,
  );
}

function byRule(violations: readonly Violation[]): string[] {
  const rules = Map.groupBy(violations, ({ rule }) => rule);
  return [...rules].map(([rule, all]) => `  ${rule.padEnd(48)} ${number(all.length).padStart(9)}`);
}

/** The first violations of each rule in turn, so that a frequent one does not hide another. */
function traced(violations: readonly Violation[]): Violation[] {
  const rules = [...Map.groupBy(violations, ({ rule }) => rule).values()];
  const longest = Math.max(0, ...rules.map(({ length }) => length));
  return Array.from({ length: longest }, (_, place) => rules.flatMap((all) => all[place] ?? []))
    .flat()
    .slice(0, TRACES_MAX);
}

/** One violation: the read, what it was owed, and the writes around it. */
function trace(history: History, { rule, read, owed }: Violation): string[] {
  const at = (moment: { ms: number } | undefined) => (moment === undefined ? 'never' : moment.ms.toFixed(1));
  const near = (history.writes.get(read.dep) ?? []).filter(
    ({ version }) =>
      Math.abs(version - owed) <= WRITES_AROUND / 2 ||
      (typeof read.shown === 'number' && Math.abs(version - read.shown) <= 1),
  );
  return [
    `  ${rule}: ${read.level} read of ${read.dep}, begun ${at(read.begun)}, ended ${at(read.ended)}: shown ${read.shown}, owed ${owed}`,
    `    ${read.session ?? 'no session'}; ${read.note ?? ''}`,
    ...earlierOf(history, rule, read, owed),
    ...near.map(
      ({ version, kind, absent, begun, committed, acknowledged, token }) =>
        `    version ${version} by ${kind}${absent ? ' (deleted)' : ''}: begun ${at(begun)}, committed by ${at(committed)}, acknowledged ${at(acknowledged)}${token ? ` with seq ${token.seq}` : ''}`,
    ),
  ];
}

/** For a session that went back: the last earlier read that had shown the version that this read should show. */
function earlierOf(
  { reads }: History,
  rule: Violation['rule'],
  { dep, session, begun }: Violation['read'],
  owed: number,
): string[] {
  if (rule !== 'monotonic') return [];
  const earlier = reads.findLast(
    (read) =>
      read.session === session &&
      read.dep === dep &&
      read.ended.order < begun.order &&
      (read.shown === owed || read.shown === 'absent'),
  );
  if (earlier === undefined) return [];
  return [
    `    the session had seen ${earlier.shown} at ${earlier.ended.ms.toFixed(1)} by ${earlier.note ?? ''}`,
  ];
}

function number(value: number): string {
  return Math.round(value).toLocaleString('en');
}
