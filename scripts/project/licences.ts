/** Which licences the packages of a lockfile may have. */
import * as z from 'zod';

export const Packages = z.record(
  z.string(),
  z.looseObject({
    license: z.string().optional(),
    dev: z.boolean().optional(),
    optional: z.boolean().optional(),
    os: z.array(z.string()).optional(),
  }),
);

/** Licences that ask for no more than a notice: what is deployed may have them. By their SPDX identifiers. */
const PERMISSIVE: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
]);
/** Tools may also have licences that ask for the source of changes to themselves. */
const OF_TOOLS: ReadonlySet<string> = new Set([...PERMISSIVE, 'LGPL-3.0-or-later', 'MPL-2.0']);

/**
 * The packages whose licence is not accepted, a line each. A package for another platform, of which npm knows nothing but
 * its name, has the licence of the package that asks for it.
 */
export function licenceFindings(packages: z.output<typeof Packages>): string[] {
  return Object.entries(packages).flatMap(([path, { license, dev = false, optional = false, os }]) => {
    if (path === '') return [];
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (license === undefined) return optional && os !== undefined ? [] : [`${name} states no licence`];
    const accepted = dev ? OF_TOOLS : PERMISSIVE;
    const place = dev ? 'a tool' : 'a part of what is deployed';
    return isAccepted(license, accepted) ? [] : [`${name} is ${place} and has the licence ${license}`];
  });
}

/** Whether an SPDX expression without exceptions (`A OR B`, `A AND B`, parentheses around a whole one) is accepted. */
function isAccepted(expression: string, accepted: ReadonlySet<string>): boolean {
  const inner = /^\(([^()]*)\)$/.exec(expression)?.[1] ?? expression;
  return inner
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((licence) => accepted.has(licence.trim())));
}
