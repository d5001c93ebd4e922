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

/** The holder of a key. */
export interface KeyHolder {
  readonly kind: 'key';
  /** The id of the key, or `bootstrap` for the secret of the deployment. */
  readonly id: string;
  readonly scopes: ReadonlySet<Scope>;
}

/** The sender of a request. */
export type Principal = { readonly kind: 'anonymous' } | KeyHolder;

/** A reader without a credential. Only declarations with `public: true` answer it. */
export const ANONYMOUS: Principal = Object.freeze({ kind: 'anonymous' });

/**
 * The principal in a cache key. Principals whose answers may differ must have different texts; otherwise one would
 * receive the other's answer. The scopes of a key never change, so its id is enough.
 */
export function principalKey(principal: Principal): string {
  return principal.kind === 'key' ? `key:${principal.id}` : principal.kind;
}
