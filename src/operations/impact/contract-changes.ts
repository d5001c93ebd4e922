import { canonicalValue, type JsonSchema } from '../../pipeline/contracts/json-schema.ts';
import { answerOf } from './answer.ts';
import { type ImpactGraph, idOf } from './graph.ts';

/** The kinds that a change of a contract is reported for; the others follow from them. */
const REPORTED = { column: 'columns', feature: 'features', model: 'models', view: 'views' } as const;

/** The fields of two contracts whose schemas differ, those that only one has included. */
export function changedFields(older: JsonSchema, newer: JsonSchema): string[] {
  const [before, now] = [fieldsOf(older), fieldsOf(newer)];
  return [...new Set([...Object.keys(before), ...Object.keys(now)])].filter(
    (field) => canonicalValue(before[field]) !== canonicalValue(now[field]),
  );
}

function fieldsOf(schema: JsonSchema): Readonly<Record<string, unknown>> {
  const properties = typeof schema === 'boolean' ? undefined : schema['properties'];
  return typeof properties === 'object' && properties !== null ? { ...properties } : {};
}

/**
 * What a change of a field of an event concerns, as a line of text. A field that the catalog does not have any more is
 * asked for as the event.
 */
export function concernOf(graph: ImpactGraph, event: string, field: string): string {
  const own = idOf('field', `${event}.${field}`);
  const id = graph.nodes.has(own) ? own : idOf('event', event);
  const { found, unknown } = answerOf(graph, id, 'down');
  const kinds = Object.entries(REPORTED) as [keyof typeof REPORTED, string][];
  const parts = kinds.flatMap(([kind, plural]) =>
    found[kind].length === 0 ? [] : [`${plural} ${found[kind].map(({ name }) => name).join(', ')}`],
  );
  const whole = id === own ? field : `${field}, which the catalog does not have, as ${event}`;
  const reasons = unknown.filter(({ about }) => about === own || about === idOf('event', event));
  return [
    `${whole} concerns ${parts.length === 0 ? 'nothing else that is known' : parts.join('; ')}.`,
    ...reasons.map(({ reason }) => `Not known: ${reason}`),
  ].join(' ');
}
