import { Allowance } from '../../../src/limits/allowance.ts';
import { type Answer, Bucket, type Question } from '../../../src/limits/bucket.ts';
import { type Lane, PAUSE_MS_MIN, type RatePolicy } from '../../../src/limits/policy.ts';
import { seededRandom } from '../../../src/platform/random.ts';

/** Clients of one sender at several isolates, in a world with a clock of its own. All times are in milliseconds. */
export interface World {
  readonly seed: number;
  readonly policy: RatePolicy;
  readonly isolates: number;
  readonly clients: number;
  readonly durationMs: number;
  /** What each request costs; drawn for each. */
  readonly units: readonly number[];
  readonly lane?: Lane;
  /** The mean pause of a client after an answer. */
  readonly pauseMs: number;
  /** The time to the object and back, by isolate. */
  readonly roundTripMs: (isolate: number) => number;
  /** The share of questions whose answer is lost. */
  readonly lost?: number;
  /** Parts with a planted fault. */
  readonly allowance?: (policy: RatePolicy, lane: Lane) => Allowance;
  readonly bucket?: (policy: RatePolicy) => Bucket;
}

export interface Outcome {
  /** What was admitted, in the order of time. */
  readonly admitted: readonly { readonly atMs: number; readonly units: number }[];
  readonly requests: number;
  readonly refused: number;
  readonly calls: number;
}

const TIMEOUT_MS = 500;

/** Runs the rules of isolates and object until the end of the time; every run of a seed is the same. */
export function run(world: World): Outcome {
  const { policy, lane = 'read', durationMs, units, pauseMs, roundTripMs } = world;
  const random = seededRandom(world.seed);
  const queue: { atMs: number; work: () => void }[] = [];
  let nowMs = 0;
  const at = (atMs: number, work: () => void) => {
    const index = queue.findLastIndex((event) => event.atMs <= atMs);
    queue.splice(index + 1, 0, { atMs, work });
  };
  const make = world.allowance ?? (() => new Allowance(policy, lane, 0));
  const isolates = Array.from({ length: world.isolates }, () => ({
    allowance: make(policy, lane),
    waiting: [] as (() => void)[],
  }));
  const bucket = world.bucket?.(policy) ?? new Bucket(policy, 0);
  const admitted: { atMs: number; units: number }[] = [];
  const counts = { requests: 0, refused: 0, calls: 0 };

  const ask = (index: number, need: number) => {
    const isolate = isolates[index];
    if (isolate === undefined || isolate.allowance.isAsking(nowMs)) return;
    const question = isolate.allowance.question(need, nowMs);
    counts.calls += 1;
    const half = roundTripMs(index) / 2;
    const settle = (work: () => void) => {
      work();
      for (const resume of isolate.waiting.splice(0)) resume();
    };
    if (random() < (world.lost ?? 0)) {
      // The object has granted, and the isolate does not learn of it.
      at(nowMs + half, () => void bucket.ask(question, policy, nowMs));
      at(nowMs + TIMEOUT_MS, () => settle(() => isolate.allowance.failed(question, nowMs)));
      return;
    }
    at(nowMs + half, () => {
      const answer: Answer = bucket.ask(question, policy, nowMs);
      at(nowMs + half, () => settle(() => isolate.allowance.answered(question, answer, nowMs)));
    });
  };

  const request = (client: number) => {
    const index = Math.floor(random() * isolates.length);
    const cost = units[Math.floor(random() * units.length)] ?? 1;
    counts.requests += 1;
    const again = (waitMs: number) => at(nowMs + waitMs + random() * 2 * pauseMs, () => request(client));
    const attempt = (round: number) => {
      const isolate = isolates[index];
      const spending = isolate?.allowance.spend(cost, nowMs);
      if (spending === 'ask' && round < 3) {
        isolate?.waiting.push(() => attempt(round + 1));
        ask(index, cost);
        return;
      }
      if (spending === 'low') ask(index, 0);
      if (spending === 'spent' || spending === 'low') {
        admitted.push({ atMs: nowMs, units: cost });
        again(0);
      } else {
        counts.refused += 1;
        again(PAUSE_MS_MIN);
      }
    };
    attempt(0);
  };
  for (let client = 0; client < world.clients; client += 1) at(random() * pauseMs, () => request(client));
  while (queue.length > 0) {
    const event = queue.shift();
    if (event === undefined || event.atMs > durationMs) break;
    nowMs = event.atMs;
    event.work();
  }
  return { admitted, ...counts };
}

/** The most that was admitted within any window. */
export function mostWithin(admitted: Outcome['admitted'], windowMs: number): number {
  let [most, sum, first] = [0, 0, 0];
  for (const { atMs, units } of admitted) {
    sum += units;
    for (
      let oldest = admitted[first];
      oldest !== undefined && oldest.atMs < atMs - windowMs;
      oldest = admitted[first]
    ) {
      sum -= oldest.units;
      first += 1;
    }
    most = Math.max(most, sum);
  }
  return most;
}

/** Counts each grant twice. */
export class TwiceAllowance extends Allowance {
  override answered(question: Question, answer: Answer, nowMs: number): void {
    super.answered(question, { ...answer, granted: answer.granted * 2 }, nowMs);
  }
}

/** Does not charge what was spent on credit. */
export class ForgetfulBucket extends Bucket {
  override ask(question: Question, policy: RatePolicy, nowMs: number): Answer {
    return super.ask({ ...question, spent: 0 }, policy, nowMs);
  }
}

/** Does not charge what it grants. */
export class GenerousBucket extends Bucket {
  override ask(question: Question, policy: RatePolicy, nowMs: number): Answer {
    const answer = super.ask(question, policy, nowMs);
    super.ask({ ...question, need: 0, want: 0, spent: -answer.granted }, policy, nowMs);
    return answer;
  }
}
