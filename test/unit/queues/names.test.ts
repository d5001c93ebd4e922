import { expect, it } from 'vitest';
import { purposeOf } from '../../../queues/names.ts';

it.each([
  ['millrace-events', 'events'],
  ['millrace-events-bulk', 'events-bulk'],
  ['millrace-staging-changes', 'changes'],
  ['staging-acme-changes-bulk', 'changes-bulk'],
  ['millrace-sink', 'sink'],
  ['millrace-staging-dead', 'dead'],
  ['millrace-bulk', undefined],
  ['events', undefined],
  ['millrace-events-other', undefined],
])('the queue %s is for %s', (name, purpose) => {
  expect(purposeOf(name)).toBe(purpose);
});
