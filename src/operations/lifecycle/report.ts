import type { RetentionPolicy } from '../../define/retention.ts';
import { type Place, STORES } from './stores.ts';
import { Counts } from './walk.ts';

/** What was read of the stores; undefined for a part that did not answer. */
export interface StoreFacts {
  readonly sizes:
    | readonly { readonly name: string; readonly bytes: number; readonly rows: number | null }[]
    | undefined;
  readonly oldest: readonly { readonly name: string; readonly oldest: string | null }[] | undefined;
  /** Of all tables of the catalog. */
  readonly catalog: readonly { readonly bytes: number; readonly rows: number | null }[] | undefined;
  readonly cleaned: readonly Cleaned[] | undefined;
  /** By class: how many objects were asked, and what they have on disk together; null if one did not answer. */
  readonly objects: Readonly<Record<string, { readonly objects: number; readonly bytes: number | null }>>;
  /** What the last walk over R2 has counted. */
  readonly counted: unknown;
}

interface Cleaned {
  readonly target: string;
  readonly rows: number;
  readonly until: string;
  readonly cleanedAt: string | null;
}

/** What is known of a store. Null is unknown. */
export interface StoreReport {
  readonly store: string;
  readonly place: Place;
  readonly bound: string;
  readonly declared: readonly { readonly entry: string; readonly days: number }[];
  /** Rows of a table, as Postgres estimates them; objects of R2; objects of a class that were asked. */
  readonly items: number | null;
  readonly bytes: number | null;
  readonly oldest: string | null;
  readonly cleaned: readonly {
    readonly target: string;
    readonly removed: number;
    readonly until: string;
    readonly at: string | null;
  }[];
}

const CATALOG = 'tables of the catalog';

/** Each store with what is declared, what it has, and what retention has removed of it. */
export function lifecycleReport(policy: RetentionPolicy, facts: StoreFacts): StoreReport[] {
  return STORES.map(({ name, place, bound, declared, targets }) => {
    const isOf = ({ target }: Cleaned) =>
      targets.some((of) => (of.endsWith(':') ? target.startsWith(of) : target === of));
    const cleaned = (facts.cleaned ?? []).filter(isOf);
    return {
      ...{ store: name, place, bound, declared: declared.flatMap((entry) => daysOf(policy, entry)) },
      ...sizeOf(name, place, facts),
      cleaned: cleaned.map(({ target, rows, until, cleanedAt }) => ({
        ...{ target, removed: rows, until, at: cleanedAt },
      })),
    };
  });
}

function daysOf(policy: RetentionPolicy, entry: keyof RetentionPolicy): StoreReport['declared'] {
  if (entry === 'events')
    return Object.entries(policy.events).map(([type, days]) => ({ entry: `events:${type}`, days }));
  const days = policy[entry];
  return days === undefined ? [] : [{ entry, days }];
}

type Size = Pick<StoreReport, 'items' | 'bytes' | 'oldest'>;
const UNKNOWN: Size = { items: null, bytes: null, oldest: null };

function sizeOf(name: string, place: Place, facts: StoreFacts): Size {
  if (place === 'postgres') {
    const size = facts.sizes?.find((one) => one.name === name);
    const oldest = facts.oldest?.find((one) => one.name === name)?.oldest ?? null;
    return { items: size?.rows ?? null, bytes: size?.bytes ?? null, oldest };
  }
  if (place === 'object') {
    const { objects: items, bytes } = facts.objects[name] ?? { objects: null, bytes: null };
    return { items, bytes, oldest: null };
  }
  if (place === 'r2') {
    const counted = Counts.safeParse(facts.counted).data;
    if (counted === undefined) return UNKNOWN;
    const { objects, bytes, oldest } = counted[name.replace('/', '')] ?? {
      ...{ objects: 0, bytes: 0, oldest: null },
    };
    return { items: objects, bytes, oldest };
  }
  if (name !== CATALOG || facts.catalog === undefined) return UNKNOWN;
  const sum = (values: readonly number[]) => values.reduce((all, one) => all + one, 0);
  const rows = facts.catalog.map((table) => table.rows);
  const items = rows.some((one) => one === null) ? null : sum(rows.map((one) => one ?? 0));
  return { items, bytes: sum(facts.catalog.map(({ bytes }) => bytes)), oldest: null };
}
