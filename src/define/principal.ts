/** The sender of a request. A key is the only credential; an identity, scopes and row limits would belong here. */
export type Principal = { readonly kind: 'anonymous' } | { readonly kind: 'key' };

/** A reader without a credential. Only declarations with `public: true` answer it. */
export const ANONYMOUS: Principal = Object.freeze({ kind: 'anonymous' });

/**
 * The principal in a cache key. Principals whose answers may differ must have different texts; otherwise one would
 * receive the other's answer.
 */
export function principalKey({ kind }: Principal): string {
  return kind;
}
