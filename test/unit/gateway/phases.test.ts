import { expect, it } from 'vitest';
import { mayBePublic, needsPhase } from '../../../src/gateway/middleware/phases.ts';

it.each([
  ['POST', '/v1/events', 'pipeline'],
  ['POST', '/push', 'pipeline'],
  ['POST', '/write-to-online-store', 'pipeline'],
  ['PUT', '/v1/products/1', 'pipeline'],
  ['DELETE', '/v1/products/1', 'pipeline'],
  ['POST', '/v1/features/read', 'inference'],
  ['POST', '/get-online-features', 'inference'],
  ['POST', '/v2/models/m/infer', 'inference'],
  ['POST', '/v2/models/m/versions/1/infer', 'inference'],
  ['GET', '/v2/models/m/ready', 'inference'],
  ['POST', '/v1/training', 'inference'],
  ['POST', '/v1/training/1/resume', 'inference'],
])('%s %s needs the phase %s', (method, path, phase) => {
  expect(needsPhase(method, path)).toBe(phase);
});

it.each<readonly [method: string, path: string]>([
  // What is stored can be read, and operators can mend whatever is off.
  ['GET', '/v1/events/types'],
  ['GET', '/v1/events/s/1'],
  ['GET', '/v1/changes'],
  ['GET', '/v1/lineage/event/s/1'],
  ['GET', '/v1/models'],
  ['GET', '/v1/training'],
  ['POST', '/v1/training/1/cancel'],
  ['GET', '/v2/models/m'],
  ['PUT', '/v1/admin/models/m/champion'],
  ['PUT', '/v1/admin/phases/pipeline'],
  ['POST', '/v1/admin/quarantine/release'],
  ['POST', '/v1/admin/outbox/sweep'],
  ['GET', '/health/ready'],
  ['GET', '/metrics'],
  // These have a fallback.
  ['POST', '/v1/predictions/m'],
  ['GET', '/v1/products/1'],
])('%s %s answers whatever is off', (method, path) => {
  expect(needsPhase(method, path)).toBeUndefined();
});

const CATALOG = {
  models: [
    { name: 'open', isPublic: true },
    { name: 'closed', isPublic: false },
  ],
  entities: [{ isPublic: false }],
};

it.each([
  ['/v2/models/open/infer', true],
  ['/v2/models/open/versions/1/ready', true],
  ['/v2/models/closed/infer', false],
  ['/v2/models/unknown/infer', false],
  ['/v1/features/read', false],
])('%s may be read without a key: %s', (path, isOpen) => {
  expect(mayBePublic(path, CATALOG)).toBe(isOpen);
});

it('one public entity makes reads of features possible without a key', () => {
  expect(mayBePublic('/v1/features/read', { ...CATALOG, entities: [{ isPublic: true }] })).toBe(true);
});
