import * as z from 'zod';
import { DatabaseRegion, regionFor } from '../../src/composition/placement.ts';
import { parseVars } from '../../src/platform/vars.ts';

const DatabaseRegionVar = z.object({ DATABASE_REGION: DatabaseRegion });

/** What wrangler.toml and the command line say of a deployment. */
interface Deployment {
  /** Routes and custom domains. */
  readonly routes: readonly string[];
  readonly vars: Readonly<Record<string, unknown>>;
  readonly databaseUrl: string;
}

/**
 * What a deployment will do that its operator may not expect, a line each. Objects stay for good where they are first
 * placed, so this is said before there are any.
 *
 * @throws Error if `DATABASE_REGION` is not a location hint.
 */
export function deploymentNotices({ routes, vars, databaseUrl }: Deployment): string[] {
  const { DATABASE_REGION: configured } = parseVars(DatabaseRegionVar, vars);
  const region = regionFor(configured, databaseUrl);
  return [
    region === undefined
      ? 'The region of the database is unknown, so objects stay for good near their first caller. Set DATABASE_REGION in wrangler.toml before the first deployment (docs/operations.md, "Where objects are placed").'
      : `New objects are placed in ${region}, beside the database.`,
    ...(routes.length > 0
      ? []
      : [
          "No route or custom domain is configured. On workers.dev the data centre's cache keeps nothing; add one with --domain or --route, or with routes in wrangler.toml.",
        ]),
  ];
}
