import type { Scope } from '../../define/principal.ts';

/** What a resource asks of its readers. */
export interface Guard {
  readonly isPublic: boolean;
  /** The scope that a key needs for a resource that is not public; undefined: all scopes. */
  readonly scope: Scope | undefined;
  /** Whether it limits principals to the rows of their claims. If not, a principal that is limited may not read it. */
  readonly limitsRows?: boolean;
}
