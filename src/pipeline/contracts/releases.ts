import * as z from 'zod';
import type { Deprecation } from '../../define/version.ts';
import { compatibility } from './compatible.ts';
import { breakingOf, type Finding, finding } from './finding.ts';
import { canonicalValue, type JsonSchema } from './json-schema.ts';

/** One released version of an event type: a file of the project's contracts folder. */
export const Contract = z.strictObject({
  type: z.string().regex(/^[\w.-]+\.v\d+$/),
  deprecated: z.strictObject({ since: z.iso.date(), sunset: z.iso.date().exactOptional() }).exactOptional(),
  schema: z.custom<JsonSchema>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  ),
});
export interface Contract {
  /** With its version: `bikes.ride.v1`. */
  readonly type: string;
  readonly deprecated?: Deprecation;
  readonly schema: JsonSchema;
}

/** The state of one contract since its release. */
export interface ContractChange {
  readonly type: string;
  /** `ended`: it was removed from the catalog after its sunset. */
  readonly state: 'unchanged' | 'new' | 'compatible' | 'breaking' | 'ended';
  readonly findings: readonly Finding[];
}

/**
 * Compares the declared contracts with the last released ones, by type. A new type or version may have any contract. A
 * released one must accept every event that it accepted before, until its released sunset has passed.
 *
 * @param today in UTC, `2027-06-30`.
 */
export function compareContracts(
  released: readonly Contract[],
  declared: readonly Contract[],
  today: string,
): ContractChange[] {
  const now = new Map(declared.map((contract) => [contract.type, contract]));
  const before = new Map(released.map((contract) => [contract.type, contract]));
  const types = [...new Set([...before.keys(), ...now.keys()])].sort();
  return types.flatMap((type) => {
    const [older, newer] = [before.get(type), now.get(type)];
    if (newer === undefined) return older === undefined ? [] : [removed(older, today)];
    return [older === undefined ? { type, state: 'new', findings: [] } : changed(older, newer)];
  });
}

function removed({ type, deprecated }: Contract, today: string): ContractChange {
  const sunset = deprecated?.sunset;
  if (sunset !== undefined && sunset <= today) return { type, state: 'ended', findings: [] };
  const old = sunset === undefined ? 'no sunset was announced' : `its sunset is ${sunset}`;
  return { type, state: 'breaking', findings: [finding([], 'version_removed', old, undefined)] };
}

function changed(older: Contract, newer: Contract): ContractChange {
  const { type } = newer;
  if (canonicalValue(older) === canonicalValue(newer)) return { type, state: 'unchanged', findings: [] };
  const findings = compatibility(older.schema, newer.schema);
  const [announced, sunset] = [older.deprecated?.sunset, newer.deprecated?.sunset];
  if (announced !== undefined && sunset !== undefined && sunset < announced)
    findings.push(finding(['deprecated', 'sunset'], 'sunset_brought_forward', announced, sunset));
  return { type, state: breakingOf(findings) > 0 ? 'breaking' : 'compatible', findings };
}
