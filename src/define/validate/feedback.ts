import type { Catalog } from '../catalog.ts';
import type { Report } from '../problem.ts';

/** Checks that the events exist which say what came of the answers of a model, and that what needs them has them. */
export function checkFeedback({ models, events }: Catalog, report: Report): void {
  for (const definition of models) {
    const { name, task, entity, feedback, rollout } = definition;
    const say = (problem: string, remedy: string) =>
      report(definition, `model "${name}", feedback`, problem, remedy);
    if (feedback === undefined) {
      if (rollout !== undefined && rollout.canary.labels > 0)
        say(
          'Its rollout waits for labels, and no event is one.',
          'Declare `feedback`, or leave `labels` out.',
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
    if (!events.some(({ type }) => type === feedback.label.eventType))
      say(
        `The catalog has no event type "${feedback.label.eventType}".`,
        'Export the event from a file that `defineCatalog()` is given.',
      );
  }
}
