import type { Catalog } from '../catalog.ts';
import type { Report } from '../problem.ts';
import { type RolloutPlan, stepMsMax } from '../rollout.ts';

/** Checks that the events exist which say what came of the answers of a model, and that what needs them has them. */
export function checkFeedback({ models, events }: Catalog, report: Report): void {
  for (const definition of models) {
    const { name, task, entity, feedback, rollout, policy } = definition;
    const say = (problem: string, remedy: string) =>
      report(definition, `model "${name}", feedback`, problem, remedy);
    if (feedback === undefined) {
      if (rollout !== undefined && waitsForLabels(rollout))
        say(
          'Its rollout waits for labels, and no event is one.',
          'Declare `feedback`, or leave `labels` and `excludes` out.',
        );
      continue;
    }
    if (feedback.entity !== entity)
      say(
        `Its events are of "${feedback.entity.name}"; the model is of "${entity.name}".`,
        `Give it the entity "${entity.name}".`,
      );
    if ((task === 'ranking') !== (feedback.of === 'items'))
      say(
        `The model is a ${task}; its events are compared with ${feedback.of}.`,
        'Use `feedback.ofItems` for a ranking, and `feedback.ofAnswers` for any other model.',
      );
    if (rollout !== undefined && waitsForLabels(rollout)) {
      const { withinMs, lateMs } = feedback;
      // In the first `ttlS` of a step no trial begins.
      const seconds = policy.ttlS + (withinMs + lateMs) / 1_000;
      const stepSeconds = stepMsMax(rollout) / 1_000;
      if (seconds >= stepSeconds || seconds * rollout.shares.length >= rollout.withinSeconds)
        say(
          `Its rollout waits for labels, which a step has after ${seconds} s at the earliest: \`ttlS\`, \`within\` and \`lateMinutes\` together. A step may take ${stepSeconds} s, and the rollout ${rollout.withinSeconds} s.`,
          'Give the rollout more time, or shorten `ttlS` or `within`, or leave `labels` and `excludes` out.',
        );
    }
    if (!events.some(({ type }) => type === feedback.label.eventType))
      say(
        `The catalog has no event type "${feedback.label.eventType}".`,
        'Export the event from a file that `defineCatalog()` is given.',
      );
  }
}

function waitsForLabels({ canary }: RolloutPlan): boolean {
  return canary.labels > 0 || canary.excludes !== undefined;
}
