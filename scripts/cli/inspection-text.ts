import type { components } from '../../src/client/index.ts';
import { UsageError } from '../command-line/options.ts';
import { textTable } from '../command-line/text-table.ts';

type Inspection = components['schemas']['CacheInspection'];
type Tier = Inspection['tiers'][number];
type Entry = NonNullable<Tier['entry']>;

/** @throws UsageError */
export function headerOf(text: string): [name: string, value: string] {
  const [, name, value] = /^([\w-]+): ?(.*)$/.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [name.toLowerCase(), value];
  throw new UsageError(`--header takes a name and a value, such as "Accept-Language: de", not "${text}".`);
}

/** What a person reads of an inspection. */
export function inspectionText({ view, partition, clock, tiers }: Inspection): string {
  const head = [
    `view       ${view}`,
    `inspected  ${partition.description}`,
    clock === null
      ? 'clock      does not answer, so no entry can be judged'
      : `clock      ${clock.seq} invalidations; it remembers those after ${clock.floor}`,
  ];
  return [...head, ...tiers.map(tierText)].join('\n');
}

function tierText({ tier, state, entry }: Tier): string {
  const name = tier.padEnd(10);
  if (entry === null)
    return `${name} ${state === 'unused' ? 'is not used by this view' : 'has no entry, or did not answer'}`;
  const kind = entry.isNotFound ? 'a "not found"' : 'an entry';
  const left =
    entry.ttlLeftS >= 0 ? `${entry.ttlLeftS} of ${entry.ttlS} s left` : `expired ${-entry.ttlLeftS} s ago`;
  const rows = entry.tags.map(({ tag, hash, changedAt, isChanged }) => [
    tag ?? `(hash ${hash})`,
    changedAt,
    isChanged ? 'changed after the fill' : 'unchanged since',
  ]);
  const table = textTable(['tag', 'newest change', 'verdict'], rows);
  return [
    `${name} ${kind} of ${entry.ageS} s, ${left}, filled at ${entry.stamp}: ${judgementText(entry)}`,
    ...table.split('\n').map((line) => `  ${line}`),
  ].join('\n');
}

function judgementText({ judgement, tags, stamp }: Entry): string {
  switch (judgement) {
    case 'valid':
      return 'valid';
    case 'tag-changed': {
      const changed = tags.filter(({ isChanged }) => isChanged);
      const names = changed.map(({ tag, hash, changedAt }) => `${tag ?? `hash ${hash}`} at ${changedAt}`);
      return `invalid, because it was filled at ${stamp} and changed since: ${names.join(', ')}`;
    }
    case 'another-epoch':
      return 'invalid, because the clock was made anew since';
    case 'forgotten':
      return 'invalid, because the clock no longer remembers all changes since';
    case 'grain-over':
      return 'invalid, because its grain of time is over';
    case 'expired':
      return 'invalid, because its time to live is over';
    case 'clock-unavailable':
      return 'not judged';
  }
}
