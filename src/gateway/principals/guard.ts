import type { Scope } from '../../define/principal.ts';

/** What a resource asks of its readers. */
export interface Guard {
  readonly isPublic: boolean;
  /** The scope that a key needs for a resource that is not public; undefined: all scopes. */
  readonly scope: Scope | undefined;
}
