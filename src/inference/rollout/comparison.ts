/**
 * Compares how often something happens in two arms, at any time and as often as wanted, with a stated error. Pure.
 *
 * Both arms are counted in batches of the same time. Given how many requests each arm had and how many events both had
 * together, the events of the new version follow Fisher's noncentral hypergeometric law, whose one parameter is the odds
 * ratio (R. A. Fisher, The logic of inductive inference, 1935). So how frequent events are, and how that changes from batch
 * to batch, plays no role. The likelihood ratio of a greater odds ratio against the tolerated one has the mean 1 for the
 * tolerated one, and at most 1 for a lower one, because the law has a monotone likelihood ratio. Products over batches are
 * then a non-negative supermartingale, which ever exceeds 1/α with a probability of at most α (J. Ville, 1939); so does
 * their mean over several odds ratios (H. Robbins, Statistical methods related to the law of the iterated logarithm,
 * 1970). A. Ramdas, P. Grünwald, V. Vovk and G. Shafer, Game-theoretic statistics and safe anytime-valid inference (2023)
 * describe such tests.
 *
 * The law requires that, within a batch, each request could as well have been one of the other arm. Assignment by a hash
 * of the entity gives that if requests of one entity do not depend on each other.
 */
import { ODDS_RATIOS } from '../../define/rollout.ts';

/** Of a batch, in this order: the champion's requests and its events, the new version's requests and its events. */
export type Batch = readonly number[];

/** In which direction a difference counts. */
export type Sides = 'more' | 'both';

/** The logarithm of the evidence for each alternative: those of more events first, then, for both sides, of fewer. */
export type Evidences = readonly number[];

/** No evidence yet. */
export function noEvidence(sides: Sides): Evidences {
  return Array.from({ length: ODDS_RATIOS.length * (sides === 'both' ? 2 : 1) }, () => 0);
}

/**
 * Adds a batch.
 *
 * @param tolerated the odds ratio up to which the new version is no worse, from 1; for both sides also its inverse.
 */
export function addBatch(evidences: Evidences, batch: Batch, tolerated: number): Evidences {
  const [requests = 0, events = 0, newRequests = 0, newEvents = 0] = batch;
  const all = events + newEvents;
  // Neither tells anything of the ratio.
  if (requests === 0 || newRequests === 0 || all === 0 || all === requests + newRequests) return evidences;
  const law = hypergeometric(requests, newRequests, all);
  return evidences.map((evidence, at) => {
    const [times, base] =
      at < ODDS_RATIOS.length
        ? [ODDS_RATIOS[at] ?? 1, tolerated]
        : [1 / (ODDS_RATIOS[at - ODDS_RATIOS.length] ?? 1), 1 / tolerated];
    const step =
      newEvents * Math.log(times) + logSum(law, Math.log(base)) - logSum(law, Math.log(base * times));
    return evidence + step;
  });
}

/** The logarithm of all evidence together: that of the mean over the alternatives. */
export function evidenceOf(evidences: Evidences): number {
  const greatest = Math.max(...evidences);
  let sum = 0;
  for (const evidence of evidences) sum += Math.exp(evidence - greatest);
  return greatest + Math.log(sum / evidences.length);
}

/**
 * A bound on the probability with which a version whose odds are at least so many times the tolerated ones comes as far as
 * these evidences, at any time. It is the likelihood ratio of those odds against the tolerated ones: its inverse has a mean
 * of at most 1 under greater odds, as the law has a monotone likelihood ratio, so it ever exceeds 1/p with a probability of
 * at most p (Ville; A. Wald's lower boundary, Sequential analysis, 1947). How often the champion misses plays no role.
 */
export function passingBound(evidences: Evidences, odds: number): number {
  return Math.min(1, Math.exp(evidences[ODDS_RATIOS.indexOf(odds)] ?? 0));
}

/** The law of the new version's events without a difference, as logarithms up to a constant, from `least` events on. */
interface Law {
  readonly least: number;
  readonly logs: Float64Array;
}

function hypergeometric(requests: number, newRequests: number, events: number): Law {
  const least = Math.max(0, events - requests);
  const most = Math.min(events, newRequests);
  const logs = new Float64Array(most - least + 1);
  for (let at = 1; at < logs.length; at += 1) {
    const before = least + at - 1;
    const ratio =
      ((newRequests - before) * (events - before)) / ((before + 1) * (requests - events + before + 1));
    logs[at] = (logs[at - 1] ?? 0) + Math.log(ratio);
  }
  return { least, logs };
}

/** log Σ law(k) · odds^k. */
function logSum({ least, logs }: Law, logOdds: number): number {
  let greatest = Number.NEGATIVE_INFINITY;
  for (const [at, log] of logs.entries()) greatest = Math.max(greatest, log + (least + at) * logOdds);
  let sum = 0;
  for (const [at, log] of logs.entries()) sum += Math.exp(log + (least + at) * logOdds - greatest);
  return greatest + Math.log(sum);
}

/**
 * An interval for a rate that holds at any time at once with a probability of at least 1 − `error`: all rates against which
 * the Beta(½, ½) mixture of binomial laws is not evidence (H. Robbins, 1970).
 */
export function rateInterval(
  requests: number,
  events: number,
  error: number,
): { readonly rate: number; readonly low: number; readonly high: number } {
  if (requests === 0) return { rate: 0, low: 0, high: 1 };
  const rate = events / requests;
  const others = requests - events;
  const mixed = logBeta(events + 0.5, others + 0.5) - logBeta(0.5, 0.5);
  const isOutside = (p: number) => {
    const own = (events === 0 ? 0 : events * Math.log(p)) + (others === 0 ? 0 : others * Math.log(1 - p));
    return mixed - own > -Math.log(error);
  };
  const border = (outside: number) => {
    let [far, near] = [outside, rate];
    if (!isOutside(far)) return far;
    for (let step = 0; step < 60; step += 1) {
      const middle = (far + near) / 2;
      if (isOutside(middle)) far = middle;
      else near = middle;
    }
    return far;
  };
  return { rate, low: border(0), high: border(1) };
}

function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/** Stirling's series after a shift to arguments of at least 8; its error is below 1e-10. */
function logGamma(x: number): number {
  let [shifted, correction] = [x, 0];
  while (shifted < 8) {
    correction -= Math.log(shifted);
    shifted += 1;
  }
  const inverse = 1 / shifted;
  const series =
    inverse * (1 / 12 - inverse ** 2 * (1 / 360 - inverse ** 2 * (1 / 1_260 - inverse ** 2 / 1_680)));
  return correction + (shifted - 0.5) * Math.log(shifted) - shifted + 0.5 * Math.log(2 * Math.PI) + series;
}
