import { describe, expect, it } from 'vitest';
import { deploymentNotices } from '../../../scripts/project/deployment.ts';

const NEON = 'postgres://u:p@ep-x.us-east-2.aws.neon.tech/db';
const ELSEWHERE = 'postgres://u:p@db.example.com/db';
const ROUTES = ['api.example.com'];

describe('the notices of a deployment', () => {
  it('name the region of new objects', () => {
    expect(deploymentNotices({ routes: ROUTES, vars: {}, databaseUrl: NEON })).toEqual([
      'New objects are placed in enam, beside the database.',
    ]);
    const vars = { DATABASE_REGION: 'oc' };
    expect(deploymentNotices({ routes: ROUTES, vars, databaseUrl: ELSEWHERE })).toEqual([
      'New objects are placed in oc, beside the database.',
    ]);
  });

  it('say that the region is unknown, and that workers.dev has no cache of the data centre', () => {
    const [region, route] = deploymentNotices({ routes: [], vars: {}, databaseUrl: ELSEWHERE });
    expect(region).toContain('The region of the database is unknown');
    expect(route).toContain("On workers.dev the data centre's cache keeps nothing");
  });

  it('refuse a region that is no location hint', () => {
    const vars = { DATABASE_REGION: 'us-east-1' };
    expect(() => deploymentNotices({ routes: ROUTES, vars, databaseUrl: NEON })).toThrow(
      /DATABASE_REGION: expected the location hint/,
    );
  });
});
