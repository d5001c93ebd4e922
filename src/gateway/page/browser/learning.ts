/** Reads what is known of a model's rollout, labels and drift, and says it in lines. Absent fields are not trusted to be there. */
import { memberOf } from './answers.ts';
import { listOf, numberOf, textOf } from './registry.ts';

/** A part of the page that is read when it is opened. */
export interface LearningPart {
  readonly title: string;
  /** Its address, for a model. */
  readonly address: (model: string) => string;
  /** @param json its answer. */
  readonly lines: (json: unknown) => string[];
}

export const LEARNING_PARTS: readonly LearningPart[] = [
  { title: 'Rollout', address: (model) => `/v1/admin/models/${model}/rollout`, lines: rolloutLines },
  { title: 'Hit rates', address: (model) => `/v1/admin/models/${model}/feedback`, lines: feedbackLines },
  { title: 'Drift', address: (model) => `/v1/admin/models/${model}/drift`, lines: driftLines },
];

/** @param json the answer of `GET /v1/admin/models/{model}/rollout`. */
function rolloutLines(json: unknown): string[] {
  if (memberOf(json, 'plan') === null)
    return ['The model declares no rollout: an alias changes at once, for everybody.'];
  const requests = memberOf(memberOf(json, 'live'), 'requests');
  const seen =
    requests === undefined
      ? []
      : [
          `Seen in this step: ${numberIn(requests, 'champion')} requests of the champion, ${numberIn(requests, 'canary')} of the new version.`,
        ];
  const waitsFor = memberOf(json, 'waitsFor');
  if (typeof waitsFor === 'object' && waitsFor !== null) {
    const from = textOf(waitsFor, 'labelsFrom');
    seen.push(
      `The step waits for ${numberIn(waitsFor, 'requests')} requests, ${numberIn(waitsFor, 'seconds')} s and ${numberIn(waitsFor, 'labels')} labels${from === '' ? '' : `, which come from ${from} on`}.`,
    );
    const exclusion = memberOf(waitsFor, 'exclusion');
    if (typeof exclusion === 'object' && exclusion !== null)
      seen.push(
        `A version with ${numberIn(exclusion, 'odds')} times the tolerated odds of a miss would come as far with a probability of up to ${numberIn(exclusion, 'passesNow')}; the step waits for ${numberIn(exclusion, 'passes')}.`,
      );
  }
  const steps = listOf(json, 'steps').map(
    (step) =>
      `${textOf(step, 'at')}: ${textOf(step, 'stage')}, ${numberIn(step, 'share')} % (${textOf(step, 'reason')} by ${textOf(step, 'by')}), ${textOf(step, 'version')} against ${textOf(step, 'base')}`,
  );
  return steps.length === 0 ? ['There was no rollout yet.'] : [...seen, ...steps];
}

/** @param json the answer of `GET /v1/admin/models/{model}/feedback`. */
function feedbackLines(json: unknown): string[] {
  const versions = listOf(json, 'versions').map((version) => {
    const { ranked, pending } = {
      ranked: memberOf(version, 'ranked'),
      pending: memberOf(version, 'pending'),
    };
    const rate = memberOf(ranked, 'rate');
    const judged =
      typeof rate === 'number'
        ? `${percent(rate)} (${percent(memberOf(ranked, 'low'))} to ${percent(memberOf(ranked, 'high'))}) of ${numberIn(ranked, 'trials')}`
        : 'nothing was judged yet';
    return `${textOf(version, 'version')}: ${judged}; ${numberIn(pending, 'trials')} wait for their window to end`;
  });
  return versions.length === 0 ? ['No answer was logged yet.'] : versions;
}

/** @param json the answer of `GET /v1/admin/models/{model}/drift`. */
function driftLines(json: unknown): string[] {
  const versions = listOf(json, 'versions');
  if (versions.length === 0)
    return ['No version is watched: a version is once a training run has made it and it has answered.'];
  return versions.flatMap((version) => {
    const latest = memberOf(version, 'latest');
    const stands =
      typeof latest === 'object' && latest !== null
        ? `${textOf(latest, 'column')} stands out most, ${numberIn(latest, 'statistic')} of ${numberIn(version, 'threshold')}`
        : 'too few for a verdict';
    const drifts = listOf(version, 'drifts').map((drift) => {
      const until = textOf(drift, 'until');
      return `${textOf(drift, 'since')} to ${until === '' ? 'now' : until}: ${textOf(memberOf(drift, 'found'), 'column')} has drifted${askedFor(memberOf(drift, 'training'))}`;
    });
    return [`${textOf(version, 'version')}: ${numberIn(version, 'rows')} rows; ${stands}`, ...drifts];
  });
}

function askedFor(training: unknown): string {
  if (typeof training !== 'object' || training === null) return '';
  const [run, why] = [textOf(training, 'run'), textOf(training, 'why')];
  return run === '' ? `, and no run has begun (${why})` : `, and the run ${run} has begun`;
}

function numberIn(json: unknown, name: string): string {
  return numberOf(memberOf(json, name));
}

function percent(rate: unknown): string {
  return typeof rate === 'number' ? `${numberOf(100 * rate)} %` : '?';
}
