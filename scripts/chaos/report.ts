import type { LeftOut } from './experiment.ts';
import { PHASES, type Phase } from './judgement.ts';
import type { Result } from './run.ts';
import { availabilityOf, type PhaseFigures } from './verdict.ts';

/** A run as text and as JSON. No I/O. */

/** What a run was made on and with. */
export interface Circumstances {
  /** An ISO date with the time. */
  readonly startedAt: string;
  readonly machine: string;
  readonly database: string;
  readonly seed: number;
  /** Of each phase. */
  readonly seconds: number;
  /** Requests a second that the stack answered one after the other on all connections, and those of the load. */
  readonly saturation: number;
  readonly load: number;
  readonly tookMs: number;
}

export interface Run {
  readonly circumstances: Circumstances;
  readonly results: readonly Result[];
  readonly leftOut: readonly LeftOut[];
}

export function holds({ verdict }: Result): boolean {
  return verdict.reasons.length === 0;
}

/** Availability of all requests of a run. */
function availability({ results }: Run) {
  return availabilityOf(results.flatMap(({ verdict: { phases } }) => PHASES.map((phase) => phases[phase])));
}

const percent = (share: number) => `${(100 * share).toFixed(share === 1 ? 0 : 3)} %`;
const whole = (value: number) => Math.round(value).toLocaleString('en');
const seconds = (ms: number | undefined) => (ms === undefined ? 'never' : `${(ms / 1_000).toFixed(1)} s`);

/** The whole of a run as Markdown. */
export function asMarkdown(run: Run): string {
  const { circumstances, results, leftOut } = run;
  const held = results.filter(holds).length;
  const { stated, withData } = availability(run);
  const { startedAt, machine, database, saturation, load, seed, tookMs } = circumstances;
  return [
    '# Report of `npm run chaos`',
    '',
    `With this page you can see what held when services were stopped, ended or damaged under load: ${held} of ${results.length} hypotheses held.`,
    '',
    `${startedAt}; ${machine}; ${database}. The stack answered ${whole(saturation)} requests a second at most, and the load was ${whole(load)} a second. Each phase lasted ${circumstances.seconds} s at least, the whole run ${seconds(tookMs)}. Seed ${seed}.`,
    '',
    `Of all requests ${percent(stated)} were answered as the contract states, and ${percent(withData)} with data. Stale answers that did not say so: ${total(results, ({ seen }) => seen.violations.length)}. Acknowledged events: ${total(results, ({ seen }) => seen.acknowledgedEvents)}; lost: ${total(results, ({ seen }) => seen.events.lost.length)}; stored twice: ${total(results, ({ seen }) => seen.events.doubled.length)}.`,
    '',
    '| experiment | holds | as stated | with data | marked | refused | p99 before, during, after | steady after | events settled |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...results.map(row),
    '',
    '`marked`: an answer that says that it stands in for the usual one. `steady after`: from the end of the fault until as many answers were as usual as before it. `events settled`: from the end of the load until every event was stored and counted.',
    ...results.flatMap(section),
    '',
    '## Left out',
    '',
    ...leftOut.map(({ name, reason }) => `- \`${name}\`: ${reason}.`),
    '',
  ].join('\n');
}

function total(results: readonly Result[], of: (result: Result) => number): string {
  return whole(results.reduce((sum, result) => sum + of(result), 0));
}

function row(result: Result): string {
  const { verdict, experiment, seen } = result;
  const phases = PHASES.map((phase) => verdict.phases[phase]);
  const { stated, withData } = availabilityOf(phases);
  const sum = (of: (phase: PhaseFigures) => number) =>
    whole(phases.reduce((all, phase) => all + of(phase), 0));
  return `| ${[
    `\`${experiment.name}\``,
    holds(result) ? 'yes' : '**no**',
    percent(stated),
    percent(withData),
    sum(({ outcomes }) => outcomes.marked),
    sum(({ outcomes }) => outcomes.refused),
    `${phases.map(({ p99Ms }) => whole(p99Ms)).join(', ')} ms`,
    seconds(verdict.recoveredAfterMs),
    seconds(seen.settledAfterMs),
  ].join(' | ')} |`;
}

function section(result: Result): string[] {
  const { experiment, verdict, seen, logged } = result;
  return [
    '',
    `## ${experiment.name}`,
    '',
    `**Hypothesis.** ${experiment.hypothesis} **Fault.** ${sentence(experiment.fault)}`,
    '',
    ...(holds(result)
      ? ['It holds.']
      : ['It does not hold:', '', ...verdict.reasons.map((reason) => `- ${reason}`)]),
    '',
    '| phase | requests | data | marked | refused | not as stated | reads p50 | reads p99 | machine |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...PHASES.map((phase) => phaseRow(phase, verdict.phases[phase])),
    '',
    ...(seen.evidence === undefined ? [] : [`Evidence of the fault: ${seen.evidence}.`, '']),
    `Events acknowledged: ${whole(seen.acknowledgedEvents)}. Requests that were due and not sent: ${whole(seen.unsent)}.`,
    ...(logged.length === 0
      ? []
      : [
          '',
          'What the worker logged:',
          '',
          ...logged.map(([message, times]) => `- ${whole(times)} × ${message}`),
        ]),
  ];
}

function sentence(text: string): string {
  return `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}.`;
}

function phaseRow(
  phase: Phase,
  { requests, outcomes, broken, p50Ms, p99Ms, slowestMs }: PhaseFigures,
): string {
  const others = Object.entries(broken).map(([rule, times]) => `${times} ${rule}`);
  return `| ${[
    ...[phase, whole(requests), whole(outcomes.data), whole(outcomes.marked), whole(outcomes.refused)],
    ...[others.join(', ') || '0', `${whole(p50Ms)} ms`, `${whole(p99Ms)} ms`, `${whole(slowestMs)} ms`],
  ].join(' | ')} |`;
}

/** One experiment as the console shows it. */
export function asLines(result: Result): string[] {
  const { experiment, verdict, seen } = result;
  const phases = PHASES.map((phase) => verdict.phases[phase]);
  const { stated, withData } = availabilityOf(phases);
  return [
    `${holds(result) ? 'holds        ' : 'does not hold'} ${experiment.name}: ${percent(stated)} as stated, ${percent(withData)} with data, steady after ${seconds(verdict.recoveredAfterMs)}, events settled after ${seconds(seen.settledAfterMs)}`,
    ...verdict.reasons.map((reason) => `  ${reason}`),
  ];
}

/** What the console shows at the end. */
export function summaryOf(run: Run): string {
  const { stated, withData } = availability(run);
  return `${run.results.filter(holds).length} of ${run.results.length} hypotheses hold; ${percent(stated)} of the requests were answered as stated, ${percent(withData)} with data.`;
}
