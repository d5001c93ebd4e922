import type { Catalog } from '../../src/define/catalog.ts';
import { Contract } from '../../src/pipeline/contracts/releases.ts';

/**
 * The contracts of a catalog as JSON Schema. `/v1/events/types` and lineage make the same, so a contract that has none is
 * a mistake of the catalog. The worker does not look for it at load, because that takes some milliseconds.
 *
 * @throws Error that names each event type whose contract has no JSON Schema.
 */
export function contractsOf({ eventTypes }: Pick<Catalog, 'eventTypes'>): Contract[] {
  const problems: string[] = [];
  const contracts = [...eventTypes.values()].flatMap(({ type, deprecated, jsonSchema }) => {
    try {
      return [
        Contract.parse({ type, ...(deprecated === undefined ? {} : { deprecated }), schema: jsonSchema() }),
      ];
    } catch (error) {
      problems.push(
        `The contract of ${type} has no JSON Schema: ${error instanceof Error ? error.message : String(error)}. ` +
          'Use types that JSON has, as z.iso.datetime() for a moment.',
      );
      return [];
    }
  });
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return contracts;
}
