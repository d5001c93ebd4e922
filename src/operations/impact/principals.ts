import type { Scope } from '../../define/principal.ts';
import { BOOTSTRAP_ID } from '../../define/rows.ts';
import type { Time } from '../../platform/clock.ts';
import type { CounterReport } from '../../platform/counters.ts';
import { DeadlinePassed } from '../../platform/deadline.ts';
import { Failure } from '../../platform/failure.ts';
import { deprecatedUsers } from '../deprecations.ts';
import { type ImpactAnswer, routesIn } from './answer.ts';
import { type RouteFacts, routeName } from './counted.ts';
import type { ImpactGraph } from './graph.ts';

/** The most keys that are looked at, the newest first. */
const KEYS_MAX = 200;
/** The most principals of an answer. */
const PRINCIPALS_MAX = 100;

/** A key as the database has it. */
export interface KnownKey {
  readonly id: string;
  readonly scopes: readonly Scope[];
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number | null;
  readonly lastUsedAtMs: number | null;
}

/** How long the counters and the database are waited for, in milliseconds; the answer is whole without them. */
const WAIT_MS = 2_000;

export interface PrincipalPorts {
  readonly withTimeout: Time['withTimeout'];
  readonly now: () => number;
  /** The counters of all isolates. @throws Failure */
  readonly counters: () => Promise<CounterReport>;
  /** Keys, the newest first. @throws Failure */
  readonly keys: (page: {
    readonly before: undefined;
    readonly limit: number;
  }) => Promise<readonly KnownKey[]>;
}

/** A deprecated version, as its requests are counted. */
export interface DeprecatedVersion {
  readonly version: string;
  /** The element that it is a version of, as `kind:name`. */
  readonly of: string;
}

export interface Principals {
  readonly seen: { principal: string; uses: string; total: number; lastHour: number }[];
  readonly mayUse: { principal: string; scopes: Scope[]; lastUsedAt: string | null }[];
  readonly unknown: string[];
}

const NOT_COUNTED =
  'Requests are counted by principal for deprecated versions alone: who used another version is not kept.';
const TOKENS = 'Who holds a token of an OpenID Connect issuer is not kept.';

/**
 * The principals that a change concerns, from what is kept anyway: the counts of deprecated versions, and the keys. It
 * asks the counters only if a deprecated version is concerned, and the database only if a route with a scope is.
 */
export async function principalsOf(
  graph: ImpactGraph,
  answer: ImpactAnswer,
  routes: readonly RouteFacts[],
  versions: readonly DeprecatedVersion[],
  ports: PrincipalPorts,
): Promise<Principals> {
  const { element, found, writers } = answer;
  const names = new Set([
    `${element.kind}:${element.name}`,
    ...writers.map(({ from }) => from),
    ...(['entity', 'event', 'view', 'model'] as const).flatMap((kind) =>
      found[kind].map(({ name }) => `${kind}:${name}`),
    ),
  ]);
  // A field belongs to its event, whose versions all have it.
  const isConcerned = ({ of }: DeprecatedVersion) =>
    names.has(of) ||
    (element.kind === 'field' && of.startsWith('event:') && element.name.startsWith(`${of.slice(6)}.`));
  const concerned = versions.filter(isConcerned);
  const open = new Set([...names, ...routesIn(graph, answer)]);
  const scopes = new Set(
    routes.filter((route) => open.has(`route:${routeName(route)}`)).map(({ scope }) => scope),
  );
  const unknown = [NOT_COUNTED, TOKENS];
  const [seen, mayUse] = await Promise.all([
    concerned.length === 0
      ? []
      : inTime(usersOf(concerned, ports), 'The counts of deprecated versions', ports, unknown),
    [...scopes].every((scope) => scope === null)
      ? []
      : inTime(holdersOf(scopes, ports, unknown), 'The keys', ports, unknown),
  ]);
  if (scopes.has(null)) unknown.push('Some of the routes need no key: anybody may use them.');
  return { seen: seen.slice(0, PRINCIPALS_MAX), mayUse: mayUse.slice(0, PRINCIPALS_MAX), unknown };
}

/** Nothing, and a line in `unknown`, if the source fails or does not answer in time. */
async function inTime<Item>(
  read: Promise<Item[]>,
  what: string,
  { withTimeout }: PrincipalPorts,
  unknown: string[],
): Promise<Item[]> {
  try {
    const late = () => new DeadlinePassed('The source did not answer in time.');
    return await withTimeout(read, WAIT_MS, late);
  } catch (error) {
    if (!(error instanceof Failure || error instanceof DeadlinePassed)) throw error;
    unknown.push(`${what} could not be read, so principals may be missing.`);
    return [];
  }
}

async function usersOf(versions: readonly DeprecatedVersion[], { counters }: PrincipalPorts) {
  const users = deprecatedUsers(await counters());
  return versions.flatMap(({ version }) =>
    (users.get(version) ?? []).map(({ principal, total, lastHour }) => ({
      principal,
      uses: version,
      total,
      lastHour,
    })),
  );
}

async function holdersOf(
  scopes: ReadonlySet<string | null>,
  { keys, now }: PrincipalPorts,
  unknown: string[],
) {
  const known = await keys({ before: undefined, limit: KEYS_MAX });
  if (known.length === KEYS_MAX) unknown.push(`Only the ${KEYS_MAX} newest keys were looked at.`);
  const isValid = ({ revokedAtMs, expiresAtMs }: KnownKey) =>
    revokedAtMs === null && (expiresAtMs === null || expiresAtMs > now());
  const holders = known.filter(isValid).flatMap(({ id, scopes: own, lastUsedAtMs }) => {
    const opening = own.filter((scope) => scopes.has(scope));
    const lastUsedAt = lastUsedAtMs === null ? null : new Date(lastUsedAtMs).toISOString();
    return opening.length === 0 ? [] : [{ principal: `key:${id}`, scopes: opening, lastUsedAt }];
  });
  if (holders.length > PRINCIPALS_MAX)
    unknown.push(`Only ${PRINCIPALS_MAX} of ${holders.length} keys are listed.`);
  unknown.push(
    `The secret of the deployment (key:${BOOTSTRAP_ID}) opens all routes; when it was used is not kept.`,
  );
  return holders;
}
