/**
 * Who asks. A key is the only credential today; an identity, scopes and limits on rows belong here once there are
 * several.
 */
export type Principal = { readonly kind: 'anonymous' } | { readonly kind: 'key' };

/** A reader who sent no credential. Only what declares `public: true` answers one. */
export const ANONYMOUS: Principal = Object.freeze({ kind: 'anonymous' });

/**
 * The principal in a cache key. Principals whose answers may differ have different texts, or one would be given the
 * other's answer.
 */
export function principalKey({ kind }: Principal): string {
  return kind;
}
