import type { RetentionPolicy } from '../../../src/define/retention.ts';

/** Events are kept: the features are rebuilt from all of them. */
export const retention: RetentionPolicy = {
  events: {},
  outbox: 30,
  quarantineClosed: 90,
  quarantineOpen: 365,
};
