import fc from 'fast-check';
import { IDS } from './catalogue.ts';
import { type Got, mistakeIn } from './oracle.ts';
import { type Directory, directoryOf, type Reader } from './readers.ts';
import { type Ask, type Step, stepGroups } from './steps.ts';
import { World } from './world.ts';

const ORIGIN = 'https://isolation.test';
/** The tenants with readers of their own: the ids that collide most easily, and some that look like others. */
const TENANTS = [
  ...IDS.slice(0, 6),
  'a,b',
  'a"',
  '"a"',
  'a","second":"b',
  '%61',
  '\uff41',
  '\u00e9',
  'e\u0301',
];
const TOKEN_TIME_MS = 1_800_000_000_000;

export interface Verdict {
  readonly requests: number;
  /** Answers that carried data. */
  readonly answered: number;
  /** The shortest sequence that breaks isolation, with what is wrong; undefined if none was found. */
  readonly mistake: string | undefined;
}

/**
 * Runs sequences of requests and events from a seed.
 *
 * @param isShortened whether a sequence that fails is made shorter.
 */
export async function isolationHolds(seed: number, runs: number, isShortened = true): Promise<Verdict> {
  const directory = await directoryOf(TENANTS, TOKEN_TIME_MS);
  const counts = { requests: 0, answered: 0 };
  const property = fc.asyncProperty(stepGroups(directory.readers), async (groups) => {
    await run(groups, directory, counts);
  });
  const { failed, counterexample, errorInstance } = await fc.check(property, {
    seed,
    numRuns: runs,
    endOnFailure: !isShortened,
    interruptAfterTimeLimit: SHRINKING_MS_MAX,
    markInterruptAsFailure: false,
  });
  const steps = counterexample?.[0] ?? [];
  return {
    ...counts,
    mistake: failed
      ? [String(errorInstance), ...steps.map((group) => JSON.stringify(group))].join('\n')
      : undefined,
  };
}

/** A failing sequence is made shorter for this long at most, in milliseconds. */
const SHRINKING_MS_MAX = 60_000;

async function run(
  groups: readonly (readonly Step[])[],
  directory: Directory,
  counts: { requests: number; answered: number },
): Promise<void> {
  const world = new World(directory);
  const etags: string[] = [];
  for (const group of groups) {
    const found = await Promise.all(
      group.map(async (step) => {
        if (step.kind !== 'ask') return await happen(world, step);
        const reader = directory.readers[step.reader];
        if (reader === undefined) return;
        const etag = step.etagOf === undefined ? undefined : etags[step.etagOf % Math.max(1, etags.length)];
        const got = await answerTo(world, reader, step, etag);
        counts.requests += 1;
        if (got.status < 400) counts.answered += 1;
        const own = got.headers.get('etag');
        if (own !== null) etags.push(own);
        const mistake = mistakeIn(reader, step, etag, got);
        if (mistake !== undefined)
          throw new Error(`${mistake} ${reader.name}: ${got.status} ${got.text} for ${addressOf(step)}`);
      }),
    );
    await Promise.all(found);
    await world.settled();
  }
}

async function happen(world: World, step: Exclude<Step, Ask>): Promise<void> {
  switch (step.kind) {
    case 'invalidate':
      return world.invalidate();
    case 'clock away':
    case 'clock back':
      world.isClockAway = step.kind === 'clock away';
      return;
    case 'origin away':
    case 'origin back':
      world.isOriginAway = step.kind === 'origin away';
      return;
    case 'pass':
      world.now += step.seconds * 1_000;
      return;
    case 'evict':
      return world.evict(step.isolate);
    case 'warm':
      // Entries become stale, and the mirror old enough to hear of it.
      world.invalidate();
      world.now += 3_000;
      return await world.warm(step.isolate);
  }
}

async function answerTo(world: World, reader: Reader, ask: Ask, etag: string | undefined): Promise<Got> {
  const headers = new Headers(ask.headers);
  const authorization = authorizationOf(reader, ask);
  if (authorization !== undefined) headers.set('authorization', authorization);
  headers.set('accept-language', ask.language);
  if (etag !== undefined) headers.set('if-none-match', etag);
  const request = new Request(addressOf(ask), { method: ask.method, headers });
  const response = await world.ask(ask.isolate, request);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

function authorizationOf({ credential }: Reader, { authorization }: Ask): string | undefined {
  if (credential === undefined) return undefined;
  switch (authorization) {
    case 'usual':
      return `Bearer ${credential}`;
    case 'lower case':
      return `bearer ${credential}`;
    case 'spaces':
      return `BEARER   ${credential}`;
    case 'twice':
      return `Bearer ${credential}, Bearer ${credential}`;
    case 'no scheme':
      return credential;
  }
}

/** The address of a request, with some characters encoded that need not be. */
export function addressOf(ask: Ask): string {
  const text = (part: string) => encoded(part, ask.encoding);
  const { id, second = 'x' } = ask;
  const optional: [string, string][] = ask.second === undefined ? [] : [['second', ask.second]];
  const withQuery = (path: string, query: [string, string][]) => {
    const parts = query.map(([name, value]) => `${name}=${text(value)}`);
    const ordered = ask.order === 'reversed' ? parts.toReversed() : parts;
    return `${ORIGIN}${path}${ordered.length === 0 ? '' : `?${ordered.join('&')}`}`;
  };
  switch (ask.view) {
    case 'open':
    case 'rows':
      return withQuery(`/v1/${ask.view}/${text(id)}`, optional);
    case 'closed':
      return withQuery(`/v1/closed/${text(id)}/${text(second)}`, []);
    case 'mine':
      return withQuery(`/v1/mine/${text(id)}`, []);
    case 'asked':
      return withQuery('/v3/asked', [['owner', id]]);
    case 'asked-v1':
      return withQuery('/v1/asked', [
        ['owner', id],
        ['second', second],
      ]);
    case 'own':
      return withQuery('/v1/own', optional);
    case 'own-by-hour':
    case 'me':
      return withQuery(`/v1/${ask.view}`, []);
  }
}

/** Percent-encodes what has to be, and of the other characters those whose bit is set. */
function encoded(text: string, bits: number): string {
  return [...text]
    .map((character, index) => {
      const needed = encodeURIComponent(character);
      // A path of dots alone is another path.
      if (text === '..' || needed !== character) return index % 2 === 0 ? needed : needed.toLowerCase();
      return (bits >> (index % 16)) & 1
        ? `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`
        : character;
    })
    .join('');
}
