import type { Arm } from './assignment.ts';
import { ArmTally, type Outcome, type RolloutReport } from './observed.ts';

/** How long outcomes are added up before they are reported, in milliseconds. */
const REPORT_EVERY_MS = 2_000;
/** A report that has not begun after this time is lost with the request that kept it alive, in milliseconds. */
const LOST_AFTER_MS = 10_000;
/** A shadow that takes longer ended with the request that kept it alive, in milliseconds. */
const SHADOW_LOST_AFTER_MS = 30_000;
/** The most rollouts of one report: a catalog has fewer models. */
const ROLLOUTS_MAX = 64;

export interface ReportPorts {
  readonly now: () => number;
  readonly keepAlive: (work: Promise<unknown>) => void;
  readonly pause: (ms: number) => Promise<void>;
  readonly send: (model: string, report: RolloutReport) => Promise<void>;
  /** Told of requests whose report failed. */
  readonly lost: (model: string, requests: number) => void;
}

interface Tally {
  readonly rollout: string;
  readonly champion: ArmTally;
  readonly canary: ArmTally;
}

/**
 * Adds up what an isolate sees of rollouts, and reports it every two seconds. A report is sent once: one that fails is lost
 * for both versions alike, which delays a verdict and does not change it.
 */
export class RolloutReports {
  readonly #tallies = new Map<string, Tally>();
  #begunMs = Number.NEGATIVE_INFINITY;
  /** When each shadow that is being computed began. */
  #shadows: number[] = [];

  saw(model: string, rollout: string, arm: Arm, outcome: Outcome, ports: ReportPorts): void {
    let tally = this.#tallies.get(model);
    if (tally?.rollout !== rollout) {
      if (this.#tallies.size >= ROLLOUTS_MAX) this.#tallies.clear();
      tally = { rollout, champion: new ArmTally(), canary: new ArmTally() };
      this.#tallies.set(model, tally);
    }
    tally[arm].add(outcome);
    if (ports.now() - this.#begunMs < LOST_AFTER_MS) return;
    this.#begunMs = ports.now();
    ports.keepAlive(this.#report(ports));
  }

  /** Takes one of so many places for shadows; false if all are taken. */
  beginShadow(placesMax: number, nowMs: number): boolean {
    this.#shadows = this.#shadows.filter((begunMs) => nowMs - begunMs < SHADOW_LOST_AFTER_MS);
    if (this.#shadows.length >= placesMax) return false;
    this.#shadows.push(nowMs);
    return true;
  }

  endShadow(): void {
    this.#shadows.shift();
  }

  async #report({ pause, send, lost }: ReportPorts): Promise<void> {
    await pause(REPORT_EVERY_MS);
    const tallies = [...this.#tallies];
    this.#tallies.clear();
    this.#begunMs = Number.NEGATIVE_INFINITY;
    const sending = tallies.map(async ([model, { rollout, champion, canary }]) => {
      const report = { rollout, champion: champion.counts, canary: canary.counts };
      try {
        await send(model, report);
      } catch {
        lost(model, report.champion.requests + report.canary.requests);
      }
    });
    await Promise.all(sending);
  }
}
