import { ANY_SCORES, type RolloutPlan } from '../../define/rollout.ts';
import type { Batch } from './comparison.ts';
import {
  BATCHES_MAX,
  EvidenceRecord,
  evidencesAfter,
  type Measure,
  nextPosition,
  type Position,
  unmeasured,
  type Verdict,
  verdictOf,
} from './evidence.ts';
import { ArmTally, bandOf, outside, type RolloutReport } from './observed.ts';

const NONE = { champion: 0, canary: 0 };
/** The most batches of labels that one judgement takes; the next one takes the others. */
const BATCHES_OF_JUDGEMENT = 20;

/** A newer version that would be rolled out if this rollout ended. */
export interface Challenger {
  readonly version: string;
  /** Whether a person named it, and not a training. */
  readonly isByHand: boolean;
}

/** What a rollout comes to with a batch. */
export interface Judged {
  readonly verdict: Verdict;
  /** What the verdict was made of. */
  readonly record: EvidenceRecord;
}

/**
 * Watches one rollout: isolates report what they saw, and `judge` closes a batch. Pure: the time is an argument, and the
 * whole state is a record and the scores by which the champion's usual range will be known.
 */
export class RolloutWatch {
  #record: EvidenceRecord;
  /** The champion's scores until its usual range is known. */
  readonly #usual = new ArmTally();
  #champion = new ArmTally();
  #canary = new ArmTally();
  /** Ended trials as batches: the champion's with their misses, then the new version's. */
  #labels: Batch[] = [];

  constructor(record: EvidenceRecord) {
    this.#record = record;
  }

  /**
   * A rollout that begins in the shadow.
   *
   * @param hasLabels whether events say what came of an answer.
   */
  static begin(plan: RolloutPlan, startedBy: string, nowMs: number, hasLabels = false): RolloutWatch {
    const times = { beganMs: nowMs, stepBeganMs: nowMs, atMs: nowMs };
    const measures = {
      ...{ errors: unmeasured('errors'), slow: unmeasured('slow'), scores: unmeasured('scores') },
      ...(hasLabels ? { misses: unmeasured('misses') } : {}),
    };
    const position = { stage: 'shadow', step: -1 } as const;
    return new RolloutWatch({
      ...{ format: 1, plan, startedBy, ...position, ...times, band: null, measures },
      requests: NONE,
      ...(hasLabels ? { labelled: NONE } : {}),
    });
  }

  static restore(record: unknown): RolloutWatch {
    return new RolloutWatch(EvidenceRecord.parse(record));
  }

  get record(): EvidenceRecord {
    return this.#record;
  }

  add({ champion, canary }: Pick<RolloutReport, 'champion' | 'canary'>): void {
    this.#champion.addCounts(champion);
    this.#canary.addCounts(canary);
  }

  /** Adds answers whose labels are known, in batches of the same time each. */
  addLabels(batches: readonly Batch[]): void {
    if (this.#record.labelled !== undefined) this.#labels.push(...batches);
  }

  /** Closes the batch of what was reported since the last call, and judges. */
  judge(nowMs: number, challenger?: Challenger): Judged {
    const champion = this.#champion.counts;
    const canary = this.#canary.counts;
    this.#champion = new ArmTally();
    this.#canary = new ArmTally();
    const { requests, band, stage, plan } = this.#record;
    this.#append('errors', [champion.requests, champion.errors, canary.requests, canary.errors]);
    this.#append('slow', [champion.requests, champion.slow, canary.requests, canary.slow]);
    const labels = this.#labels.splice(0, BATCHES_OF_JUDGEMENT);
    for (const batch of labels) this.#append('misses', batch);
    if (band !== null) {
      const [usual, other] = [outside(champion, band), outside(canary, band)];
      this.#append('scores', [usual.all, usual.out, other.all, other.out]);
    } else this.#usual.addCounts(champion);
    // A shadow has to see its requests compared by their scores too, if the champion gives any and they matter.
    const comparesScores = champion.scores.length > 0 && plan.tolerances.scores < ANY_SCORES;
    const isCounted = stage !== 'shadow' || band !== null || !comparesScores;
    const counted = isCounted ? { champion: champion.requests, canary: canary.requests } : NONE;
    const { challenger: _, isChallengerByHand: __, ...before } = this.#record;
    this.#record = {
      ...before,
      ...(challenger === undefined ? {} : { challenger: challenger.version }),
      ...(challenger?.isByHand === true ? { isChallengerByHand: true } : {}),
      atMs: nowMs,
      // Known from earlier batches alone, so that the batches that it judges played no part in it.
      band: band ?? bandOf(this.#usual.counts) ?? null,
      requests: {
        champion: requests.champion + counted.champion,
        canary: requests.canary + counted.canary,
      },
      ...(this.#record.labelled === undefined ? {} : { labelled: withTrials(this.#record.labelled, labels) }),
    };
    return { verdict: verdictOf(this.#record), record: this.#record };
  }

  /** Whether the record is full, and has to be written before another batch. */
  get isFull(): boolean {
    const { misses, ...others } = this.#record.measures;
    const labels = misses?.batches.length ?? 0;
    return (
      labels > BATCHES_MAX - BATCHES_OF_JUDGEMENT ||
      Object.values(others).some(({ batches }) => batches.length >= BATCHES_MAX)
    );
  }

  /** Goes on after a record was written: at the next position, or with another record of the same step. */
  goOn(position: Position, nowMs: number): void {
    const { stage, step } = this.#record;
    const isSame = position.stage === stage && position.step === step;
    const emptied = (measure: Measure) => ({
      start: [...evidencesAfter(this.#record, measure)],
      batches: [],
    });
    const { measures, labelled } = this.#record;
    const begun = { requests: NONE, ...(labelled === undefined ? {} : { labelled: NONE }) };
    this.#record = {
      ...this.#record,
      ...position,
      measures: {
        ...{ errors: emptied('errors'), slow: emptied('slow'), scores: emptied('scores') },
        ...(measures.misses === undefined ? {} : { misses: emptied('misses') }),
      },
      ...(isSame ? {} : { stepBeganMs: nowMs, ...begun }),
    };
  }

  /** Where the rollout goes if the verdict is to advance. */
  get next(): Position {
    return nextPosition(this.#record.plan, this.#record);
  }

  /** A batch without events in either arm says nothing of the ratio, and is left out. */
  #append(measure: Measure, batch: Batch): void {
    const [requests = 0, events = 0, newRequests = 0, newEvents = 0] = batch;
    if (requests === 0 || newRequests === 0 || events + newEvents === 0) return;
    this.#record.measures[measure]?.batches.push([...batch]);
  }
}

/** The trials of a step with those of some batches. */
function withTrials(
  { champion, canary }: { readonly champion: number; readonly canary: number },
  batches: readonly Batch[],
) {
  const sum = (at: number) => batches.reduce((all, batch) => all + (batch[at] ?? 0), 0);
  return { champion: champion + sum(0), canary: canary + sum(2) };
}
