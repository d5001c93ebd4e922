import fc from 'fast-check';
import { ALIKE, IDS, MISSING } from './catalogue.ts';
import type { Reader } from './readers.ts';
import { ISOLATE_NAMES, type IsolateName } from './world.ts';

export const VIEWS = [
  'open',
  'closed',
  'rows',
  'asked',
  'asked-v1',
  'own',
  'own-by-hour',
  'me',
  'mine',
] as const;
const VIEWS_WITH_ROWS = ['rows', 'asked', 'asked-v1', 'own', 'own-by-hour', 'me'] as const;

/** A request as it is meant, and how it is written. */
export interface Ask {
  readonly kind: 'ask';
  readonly isolate: IsolateName;
  /** An index of the readers. */
  readonly reader: number;
  readonly view: (typeof VIEWS)[number];
  readonly id: string;
  readonly second: string | undefined;
  /** Decides which characters are percent-encoded that need not be. */
  readonly encoding: number;
  readonly order: 'usual' | 'reversed';
  readonly method: 'GET' | 'HEAD';
  readonly authorization: 'usual' | 'lower case' | 'spaces' | 'twice' | 'no scheme';
  readonly language: 'en' | 'de';
  readonly headers: Readonly<Record<string, string>>;
  /** Whether it asks for rows of any tenant, and not of the reader's own. */
  readonly isOfOther: boolean;
  /** Sends the entity tag of this earlier answer, whoever got it. */
  readonly etagOf: number | undefined;
}
export type Step =
  | Ask
  | { readonly kind: 'invalidate' | 'clock away' | 'clock back' | 'origin away' | 'origin back' }
  | { readonly kind: 'pass'; readonly seconds: number }
  | { readonly kind: 'evict' | 'warm'; readonly isolate: IsolateName };

/** No answer to anybody may have this text, which stands in crafted headers. */
export const CANARY = 'canary-7f3a';

const NAMES_OF_OTHERS = fc.constantFrom(
  CANARY,
  `${CANARY}.test`,
  ...IDS.filter((id) => /^[\x20-\x7e]+$/.test(id)),
);
/** Headers that some cache, proxy or framework takes for the address, the sender or the form of the answer. */
const CRAFTED = fc.dictionary(
  fc.constantFrom(
    ...['x-forwarded-host', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-user', 'x-forwarded-prefix'],
    ...['forwarded', 'x-original-url', 'x-rewrite-url', 'x-http-method-override', 'x-http-method', 'x-host'],
    ...['origin', 'referer', 'cookie', 'x-tenant', 'tenant', 'x-millrace-principal', 'cf-ray-of-another'],
    ...['proxy-authorization', 'x-api-key', 'x-authorization', 'accept', 'user-agent', 'via', 'vary'],
  ),
  NAMES_OF_OTHERS,
  { maxKeys: 4 },
);
const CACHING = fc.record(
  {
    range: fc.constantFrom('bytes=0-3', 'bytes=-4', 'bytes=0-0,2-2'),
    'accept-encoding': fc.constantFrom('gzip', 'br;q=0', 'identity', '*'),
    'cache-control': fc.constantFrom('no-cache', 'no-store', 'only-if-cached', 'max-stale=9999', 'public'),
    pragma: fc.constant('no-cache'),
    'if-none-match': fc.constantFrom('*', '"0"', 'W/"0"', ''),
    'if-match': fc.constantFrom('*', '"0"'),
    'if-modified-since': fc.constant('Thu, 01 Jan 2037 00:00:00 GMT'),
    'millrace-consistency': fc.constantFrom('strong', 'bounded', 'eventual', 'eventual'),
    'accept-charset': fc.constant('utf-16'),
  },
  { requiredKeys: [] },
);
/** Refused more often than not. */
const SESSIONS: fc.Arbitrary<Readonly<Record<string, string>>> = fc.oneof(
  { weight: 12, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.record({ 'millrace-token': fc.constantFrom('0e1.0', '0e2.0', '0e1.1', '0e1.99', 'x') }),
  },
);

/** The few readers, ids, views and isolates of one sequence: with all of them, hardly any answer would be asked for twice. */
interface Focus {
  /** Indexes of readers. */
  readonly readers: readonly number[];
  readonly ids: readonly string[];
  readonly views: readonly (typeof VIEWS)[number][];
  readonly isolates: readonly IsolateName[];
}

function focusOf(readers: readonly Reader[]): fc.Arbitrary<Focus> {
  const all = readers.map((_, index) => index);
  const withoutRows = all.filter((index) => readers[index]?.isUnlimited === true);
  return fc
    .record({
      ids: fc.oneof(
        fc.constantFrom(...ALIKE),
        fc.uniqueArray(fc.constantFrom(...IDS.slice(0, 3), ...IDS), { minLength: 2, maxLength: 3 }),
      ),
      others: fc.uniqueArray(fc.constantFrom(...all, ...withoutRows, ...withoutRows), {
        minLength: 3,
        maxLength: 6,
      }),
      views: fc.uniqueArray(
        fc.oneof(
          { weight: 1, arbitrary: fc.constantFrom(...VIEWS) },
          { weight: 2, arbitrary: fc.constantFrom(...VIEWS_WITH_ROWS) },
        ),
        { minLength: 1, maxLength: 3 },
      ),
      isolates: fc.uniqueArray(fc.constantFrom(...ISOLATE_NAMES), { minLength: 1, maxLength: 3 }),
    })
    .map(({ others, ...focus }) => {
      const owners = all.filter((index) =>
        new Set<string>(focus.ids).has(readers[index]?.claims['tenant'] ?? ''),
      );
      return { ...focus, readers: [...new Set([...owners, ...others])] };
    });
}

function asking(readers: readonly Reader[], focus: Focus): fc.Arbitrary<Ask> {
  const id = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...focus.ids) },
    { weight: 1, arbitrary: fc.constantFrom(`${MISSING}a`, `${MISSING}b`) },
  );
  return fc
    .record({
      kind: fc.constant('ask' as const),
      isolate: fc.constantFrom(...focus.isolates),
      reader: fc.constantFrom(...focus.readers),
      view: fc.constantFrom(...focus.views),
      id,
      second: fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: id }),
      encoding: fc.oneof(fc.constant(0), fc.nat(0xffff)),
      order: fc.constantFrom('usual' as const, 'reversed' as const),
      method: fc.constantFrom('GET' as const, 'GET' as const, 'GET' as const, 'HEAD' as const),
      authorization: fc.oneof(
        { weight: 12, arbitrary: fc.constant('usual' as const) },
        { weight: 1, arbitrary: fc.constantFrom('lower case', 'spaces', 'twice', 'no scheme') },
      ),
      language: fc.constantFrom('en' as const, 'de' as const),
      headers: fc
        .tuple(CRAFTED, CACHING, SESSIONS)
        .map(([crafted, caching, session]) => ({ ...crafted, ...caching, ...session })),
      isOfOther: fc.constantFrom(false, false, true),
      etagOf: fc.oneof(
        { weight: 4, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: fc.nat(200) },
      ),
    })
    .map((ask) => {
      // Most requests ask for the reader's own rows, so that others may find them in a cache.
      const own = readers[ask.reader]?.claims['tenant'];
      if (own === undefined || own === '*' || ask.isOfOther) return ask;
      return { ...ask, id: own, ...(ask.view === 'asked-v1' ? { second: own } : {}) };
    });
}

type Event = Exclude<Step, Ask>;

/** Groups of steps; those of a group run at the same time. */
export function stepGroups(readers: readonly Reader[]): fc.Arbitrary<Step[][]> {
  return focusOf(readers).chain((focus) => {
    const isolate = fc.constantFrom(...focus.isolates);
    const event: fc.Arbitrary<Event> = fc.oneof(
      fc
        .constantFrom(
          ...([
            'invalidate',
            'invalidate',
            'origin away',
            'origin back',
            'clock away',
            'clock back',
          ] as const),
        )
        .map((kind): Event => ({ kind })),
      fc.constantFrom(1, 3, 200, 310, 4_000).map((seconds): Event => ({ kind: 'pass', seconds })),
      fc.record({ kind: fc.constantFrom('evict' as const, 'warm' as const), isolate }),
    );
    const ask = asking(readers, focus);
    const group = fc.oneof(
      { weight: 1, arbitrary: event.map((step): Step[] => [step]) },
      { weight: 3, arbitrary: fc.array(ask, { minLength: 1, maxLength: 4 }) },
      // Many readers of one address at once, whose fills are shared.
      {
        weight: 2,
        arbitrary: fc
          .tuple(ask, fc.array(fc.constantFrom(...focus.readers), { minLength: 2, maxLength: 6 }))
          .map(([one, them]) => [one.reader, ...them].map((reader): Step => ({ ...one, reader }))),
      },
    );
    return fc.array(group, { minLength: 8, maxLength: 30, size: 'max' });
  });
}
