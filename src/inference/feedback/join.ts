import type { FeedbackDefinition } from '../../define/feedback.ts';
import type { ModelDefinition } from '../../define/model.ts';
import { contributionsOf, type FoldableEvent } from '../../features/fold.ts';
import type { Batch } from '../rollout/comparison.ts';
import { recordsIn, type ServedRecord } from './record.ts';
import {
  batchesOf,
  countsOf,
  dayOf,
  kindOf,
  type LabelEvent,
  type NamedCount,
  type Trial,
  trialOf,
  withLabel,
} from './trials.ts';

/** Bounds of one step: files of the log, label events, and trials that end. */
const FILES_OF_STEP = 10;
const EVENTS_OF_STEP = 1_000;
export const TRIALS_OF_STEP = 500;
/**
 * The files of the log are read once they have been there for this many times `settleMs`, and label events for that many.
 * So an answer is read before its labels, unless an isolate has kept it for longer than the difference.
 */
const FILES_SETTLE = 1;
const LABELS_SETTLE = 3;

/** How far the log and the label events have been read. Times are in milliseconds since the Unix epoch. */
export interface JoinProgress {
  /** Answers from before are not judged. */
  readonly sinceMs: number;
  /** The key of the last file that was read. */
  readonly file: string;
  /** The number of the last event that was read. */
  readonly seq: number;
  /** All events that were stored by this moment have been read once `seq` has come to `targetSeq`. */
  readonly targetMs: number;
  readonly targetSeq: number;
  /** The next target, which waits until no event before it can be stored any more. */
  readonly nextMs: number;
  readonly nextSeq: number;
}

/** What is kept. Each call is one transaction. */
export interface JoinStore {
  readonly progress: () => JoinProgress | undefined;
  readonly save: (progress: JoinProgress) => void;
  /** Adds counts, and opens the trials for which none is open. */
  readonly addFile: (counts: readonly NamedCount[], trials: readonly Trial[], progress: JoinProgress) => void;
  /** When a step of a rollout was first seen; the moment itself if it was not. */
  readonly stepBegan: (rollout: { readonly id: string; readonly share: number }, atMs: number) => number;
  /** The greatest share of a rollout that was seen, in percent. */
  readonly shareOf: (rollout: string) => number;
  /** Replaces the open trials of these keys of a model. */
  readonly addLabels: (
    labels: readonly { readonly model: string; readonly keys: readonly string[] }[],
    labelled: (trial: Trial) => Trial,
    progress: JoinProgress,
  ) => void;
  /** Ends trials that are due, and adds what they come to. @returns them. */
  readonly end: (
    dueMs: number,
    limit: number,
    countsOf: (trials: readonly Trial[]) => readonly NamedCount[],
  ) => readonly Trial[];
}

export interface JoinPorts {
  readonly models: readonly ModelDefinition[];
  readonly now: () => number;
  /** How long a file or an event may take from its moment until it can be read, in milliseconds. */
  readonly settleMs: number;
  /** The files of the log. */
  readonly files: {
    /** What the keys of the files that are written from a moment on come after. */
    readonly from: (atMs: number) => string;
    readonly list: (after: string, limit: number) => Promise<{ readonly keys: readonly string[] }>;
    readonly read: (key: string) => Promise<string | undefined>;
  };
  readonly newestSeq: () => Promise<number>;
  /** Events of these types, by their current versions, in the order of their numbers. */
  readonly events: (
    types: readonly string[],
    range: { readonly after: number; readonly lastSeq: number; readonly limit: number },
  ) => Promise<readonly FoldableEvent[]>;
  /** Reports ended trials to the rollout of a model. It never fails. */
  readonly compared: (model: string, rollout: string, batches: readonly Batch[]) => Promise<void>;
}

/** A model whose answers are judged by events. */
interface Judged {
  readonly name: string;
  readonly ttlMs: number;
  readonly feedback: FeedbackDefinition;
}

/** Joins logged answers with later events, in bounded steps. All that a step has achieved is in the store when it ends. */
export class FeedbackJoin {
  readonly #ports: JoinPorts;
  readonly #judged: ReadonlyMap<string, Judged>;

  constructor(ports: JoinPorts) {
    this.#ports = ports;
    const judged = ports.models.flatMap(({ name, policy, feedback }) =>
      feedback === undefined ? [] : [{ name, ttlMs: policy.ttlS * 1_000, feedback }],
    );
    this.#judged = new Map(judged.map((model) => [model.name, model]));
  }

  /** @returns whether another step has something to do already. */
  async step(store: JoinStore): Promise<boolean> {
    const progress = store.progress() ?? (await this.#begin());
    const files = await this.#readFiles(progress, store);
    const labels = await this.#readLabels(files.progress, store);
    const isBusy = files.isBusy || labels.isBusy;
    // A trial may end once the events of its window have been read.
    const { seq, targetSeq, targetMs } = labels.progress;
    return (seq >= targetSeq && (await this.#end(targetMs, store))) || isBusy;
  }

  async #begin(): Promise<JoinProgress> {
    const { now, files, newestSeq } = this.#ports;
    const sinceMs = now();
    const seq = await newestSeq();
    const target = { targetMs: sinceMs, targetSeq: seq, nextMs: sinceMs, nextSeq: seq };
    return { sinceMs, file: files.from(sinceMs), seq, ...target };
  }

  async #readFiles(progress: JoinProgress, store: JoinStore) {
    const { files, now, settleMs } = this.#ports;
    const { keys } = await files.list(progress.file, FILES_OF_STEP);
    const settled = keys.filter((key) => key < files.from(now() - FILES_SETTLE * settleMs));
    let at = progress;
    for (const key of settled) {
      const records = recordsIn((await files.read(key)) ?? '').filter(({ at: ms }) => ms >= progress.sinceMs);
      at = { ...at, file: key };
      const trials = records.flatMap((record) => this.#trialOf(record, store) ?? []);
      store.addFile(answersOf(records), trials, at);
    }
    return { progress: at, isBusy: settled.length === FILES_OF_STEP };
  }

  /**
   * In a step of a rollout, the answers of the first `ttlS` open no trial: the champion's entities have cached answers from
   * before, which are not logged, and those of the new version have none.
   */
  #trialOf(record: ServedRecord, store: JoinStore): Trial | undefined {
    const judged = this.#judged.get(record.model);
    if (judged === undefined) return undefined;
    const { rollout, at } = record;
    if (rollout !== null && at < store.stepBegan(rollout, at) + judged.ttlMs) return undefined;
    return trialOf(record, judged.feedback);
  }

  async #readLabels(before: JoinProgress, store: JoinStore) {
    const { now, settleMs, newestSeq, events } = this.#ports;
    let progress = before;
    if (progress.seq >= progress.targetSeq && now() - progress.nextMs >= LABELS_SETTLE * settleMs) {
      // Taken before the question, so that an event that is stored in between belongs to the next target.
      const nextMs = now();
      const nextSeq = await newestSeq();
      progress = {
        ...progress,
        ...{ targetMs: before.nextMs, targetSeq: before.nextSeq, nextMs, nextSeq },
      };
    }
    const { seq: after, targetSeq: lastSeq } = progress;
    if (after >= lastSeq) {
      store.save(progress);
      return { progress, isBusy: false };
    }
    const types = [...new Set([...this.#judged.values()].map(({ feedback }) => feedback.label.eventType))];
    const read = await events(types, { after, lastSeq, limit: EVENTS_OF_STEP });
    const isLast = read.length < EVENTS_OF_STEP;
    progress = { ...progress, seq: isLast ? lastSeq : (read.at(-1)?.seq ?? lastSeq) };
    this.#label(read, progress, store);
    return { progress, isBusy: !isLast };
  }

  #label(events: readonly FoldableEvent[], progress: JoinProgress, store: JoinStore): void {
    const labels = new Map<string, Map<string, LabelEvent[]>>();
    for (const { name, feedback } of this.#judged.values()) {
      const byKey = new Map<string, LabelEvent[]>();
      for (const event of events)
        for (const { contribution } of contributionsOf([feedback.label], event)) {
          const { key, value } = contribution;
          const known = byKey.get(key) ?? [];
          known.push({ occurredAt: event.occurredAt, value });
          byKey.set(key, known);
        }
      if (byKey.size > 0) labels.set(name, byKey);
    }
    const labelled = (trial: Trial) => {
      const feedback = this.#judged.get(trial.model)?.feedback;
      const own = labels.get(trial.model)?.get(trial.key) ?? [];
      return feedback === undefined
        ? trial
        : own.reduce((sum, label) => withLabel(sum, label, feedback), trial);
    };
    const keys = [...labels].map(([model, byKey]) => ({ model, keys: [...byKey.keys()] }));
    store.addLabels(keys, labelled, progress);
  }

  async #end(dueMs: number, store: JoinStore): Promise<boolean> {
    const ended = store.end(dueMs, TRIALS_OF_STEP, countsOf);
    for (const { model, rollout, batches } of batchesOf(ended, store.shareOf))
      await this.#ports.compared(model, rollout, batches);
    return ended.length === TRIALS_OF_STEP;
  }
}

/** What logged answers count as. */
function answersOf(records: readonly ServedRecord[]): NamedCount[] {
  const sums = new Map<string, NamedCount>();
  for (const record of records) {
    const { model, version, at } = record;
    const count = { model, version: version ?? '', day: dayOf(at), name: kindOf(record) };
    const id = JSON.stringify(count);
    sums.set(id, { ...count, n: (sums.get(id)?.n ?? 0) + 1 });
  }
  return [...sums.values()];
}
