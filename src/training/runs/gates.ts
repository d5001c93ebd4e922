/** What has to hold before a training begins, from what the pipeline has measured. */
import * as z from 'zod';
import type { RetrainingPolicy } from '../../define/retraining.ts';

/** Waiting changes of the outbox, and records of Kafka, up to which the stream counts as followed. */
const WAITING_MAX = 1_000;
const DAY_MS = 86_400_000;

/** A gate with the figures that its verdict follows from. */
export const Gate = z.strictObject({
  gate: z.enum(['pipeline', 'quality', 'history', 'streaming']),
  holds: z.boolean(),
  /** By name; null for a figure that is not known. */
  measured: z.record(z.string(), z.union([z.number(), z.string()]).nullable()),
  /** What the figures are compared with. */
  required: z.record(z.string(), z.number()),
});
export type Gate = z.output<typeof Gate>;

/** What the pipeline measures. */
export interface PipelineFigures {
  /** Messages that no consumer could handle, and that wait for a replay. */
  readonly deadLetters: number;
  /** Changes of the outbox that are not relayed. */
  readonly waitingChanges: number;
  /** Records of Kafka that are not stored; null without Kafka, `unknown` if a partition did not answer. */
  readonly kafkaLag: number | 'unknown' | null;
  /** The shortest window with enough events for a verdict, and its score; null if none has enough. */
  readonly quality: { readonly window: string; readonly events: number; readonly score: number } | null;
  /**
   * When the first and the last label event of the snapshot happened, and when the first was stored, in milliseconds since
   * the Unix epoch; null without one.
   */
  readonly history: { readonly from: number; readonly to: number; readonly knownFrom: number } | null;
}

export interface GateRules {
  readonly qualityMin: number;
  readonly historyDays: number;
  readonly knowledge: RetrainingPolicy['knowledge'];
}

/** The gates with their verdicts. A figure that is not known opens no gate. */
export function gatesOf(
  { deadLetters, waitingChanges, kafkaLag, quality, history }: PipelineFigures,
  { qualityMin, historyDays, knowledge }: GateRules,
): Gate[] {
  // A row that knows what was stored before it has no features of what an import stored long after it happened.
  const from =
    history === null ? null : knowledge === 'row' ? Math.max(history.from, history.knownFrom) : history.from;
  const days = history === null || from === null ? 0 : Math.max(0, (history.to - from) / DAY_MS);
  return [
    {
      gate: 'pipeline',
      holds: deadLetters === 0,
      measured: { deadLetters },
      required: { deadLettersMax: 0 },
    },
    {
      gate: 'quality',
      holds: quality !== null && quality.score >= qualityMin,
      measured: {
        window: quality?.window ?? null,
        events: quality?.events ?? null,
        score: quality?.score ?? null,
      },
      required: { scoreMin: qualityMin },
    },
    {
      gate: 'history',
      holds: days >= historyDays,
      measured: {
        days: Math.round(days * 100) / 100,
        knowledge,
        from: from === null ? null : new Date(from).toISOString(),
        to: history === null ? null : new Date(history.to).toISOString(),
      },
      required: { daysMin: historyDays },
    },
    {
      gate: 'streaming',
      holds: waitingChanges <= WAITING_MAX && kafkaLag !== 'unknown' && (kafkaLag ?? 0) <= WAITING_MAX,
      measured: { waitingChanges, kafkaLag },
      required: { waitingMax: WAITING_MAX },
    },
  ];
}

/** What is said of gates that do not hold; undefined if all do. */
export function closedGates(gates: readonly Gate[]): string | undefined {
  const closed = gates.filter(({ holds }) => !holds);
  if (closed.length === 0) return undefined;
  const texts = closed.map(({ gate, measured, required }) => {
    const figures = Object.entries(measured).map(([name, value]) => `${name} ${value ?? 'unknown'}`);
    const limits = Object.entries(required).map(([name, value]) => `${name} ${value}`);
    return `${gate} (${[...figures, ...limits].join(', ')})`;
  });
  return `These gates do not hold: ${texts.join('; ')}.`;
}
