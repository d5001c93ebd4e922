/**
 * Everything that a key may be allowed to do. The list is closed: each guarded route needs one of these
 * (`src/gateway/route-rules.ts`), and a key has some of them.
 */
export const SCOPES = [
  /** Views, features, the live feed, and the status of events. */
  'data:read',
  /** `PUT` and `DELETE` of rows of entities. */
  'data:write',
  'events:write',
  'predictions:run',
  /** Artifacts, and the version of a model that answers. */
  'models:write',
  /** Metrics, quality, lineage, and what `/v1/admin` shows. */
  'operations:read',
  /** What `/v1/admin` changes: purges, sweeps, the quarantine, replays, Kafka. */
  'operations:write',
  /** Shows, creates, rotates and revokes keys. */
  'keys:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/**
 * What is known about a principal beside its scopes, e.g. `{ tenant: 'acme' }`. Declarations with `rows` let a
 * principal read only the rows that belong to its claims.
 */
export type Claims = Readonly<Record<string, string>>;

/** The value of a key's claim that admits to all rows. In a token it is a value as any other: users may choose it. */
export const ALL_ROWS = '*';

/** The holder of a key. */
export interface KeyHolder {
  readonly kind: 'key';
  /** The id of the key, or `bootstrap` for the secret of the deployment. */
  readonly id: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly claims: Claims;
  /** The units that the key may use in a calendar day and in a calendar month, in UTC; absent: without a quota. */
  readonly quotas?: KeyQuotas;
}

export interface KeyQuotas {
  readonly day?: number;
  readonly month?: number;
}

/** The holder of a token of an OpenID Connect issuer. */
export interface TokenHolder {
  readonly kind: 'token';
  /** `<issuer>#<subject>`. */
  readonly id: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly claims: Claims;
  /** Id, scopes and claims as one text: a subject may have tokens that differ in them. */
  readonly text: string;
}

export type Holder = KeyHolder | TokenHolder;

/** The sender of a request. */
export type Principal = { readonly kind: 'anonymous' } | Holder;

/** A reader without a credential. Only declarations with `public: true` answer it. */
export const ANONYMOUS: Principal = Object.freeze({ kind: 'anonymous' });

export function tokenHolder(id: string, scopes: readonly Scope[], claims: Claims): TokenHolder {
  const ordered = SCOPES.filter((scope) => scopes.includes(scope));
  const entries = Object.entries(claims).sort(([one], [other]) => (one < other ? -1 : 1));
  const text = JSON.stringify([id, ordered, entries]);
  return Object.freeze({
    kind: 'token',
    id,
    scopes: new Set(ordered),
    claims: Object.freeze({ ...claims }),
    text,
  });
}

/**
 * The principal in a cache key. Principals whose answers may differ must have different texts; otherwise one would
 * receive the other's answer. Scopes and claims of a key never change, so its id is enough.
 */
export function principalKey(principal: Principal): string {
  switch (principal.kind) {
    case 'key':
      return `key:${principal.id}`;
    case 'token':
      return `token:${principal.text}`;
    case 'anonymous':
      return principal.kind;
  }
}

/** The principal as the audit log and the users of deprecated versions name it. */
export function principalName(principal: Principal): string {
  return principal.kind === 'anonymous' ? principal.kind : `${principal.kind}:${principal.id}`;
}
