import { expect, it } from 'vitest';
import { regionOfDatabase } from '../../../src/composition/placement.ts';

it.each([
  ['ep-cool-darkness-a1b2c3d4.us-east-2.aws.neon.tech', 'enam'],
  ['ep-cool-darkness-a1b2c3d4-pooler.us-west-2.aws.neon.tech', 'wnam'],
  ['ep-cool-darkness-a1b2c3d4.c-2.us-east-1.aws.neon.tech', 'enam'],
  ['ep-x.eu-west-2.aws.neon.tech', 'weur'],
  ['EP-X.AP-SOUTHEAST-1.AWS.NEON.TECH', 'apac'],
  ['ep-x.ap-southeast-2.aws.neon.tech', 'oc'],
  ['ep-x.sa-east-1.aws.neon.tech', 'sam'],
  ['ep-x.westus3.azure.neon.tech', 'wnam'],
  ['ep-x.gwc.azure.neon.tech', 'weur'],
  ['ep-x.mars-1.aws.neon.tech', undefined],
  ['us-east-2.aws.neon.tech.example.com', undefined],
  ['db.example.com', undefined],
  ['', undefined],
])('the region of the database at %s: %s', (host, region) => {
  expect(regionOfDatabase(host)).toBe(region);
});
