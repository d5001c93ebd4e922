import type { RetentionPolicy } from '../../../src/define/retention.ts';

/** Features are made of all three event types, so all of them are kept. */
export const retention: RetentionPolicy = {
  events: {},
  outbox: 30,
  quarantineClosed: 90,
  quarantineOpen: 365,
};
