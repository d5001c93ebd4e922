import type { Catalog } from '../catalog.ts';
import { isOrigin, ORIGINS_MAX } from '../cors.ts';
import type { Report } from '../problem.ts';

/** Checks that the origins are written as browsers send them: any other text would never match. */
export function checkCors({ cors }: Catalog, report: Report): void {
  for (const origin of cors.origins)
    if (!isOrigin(origin))
      report(
        cors,
        'cors',
        `"${origin}" is not an origin.`,
        'Write scheme and host in lower case, without a path and without the default port, e.g. "https://app.example.com".',
      );
  if (cors.origins.length > ORIGINS_MAX)
    report(cors, 'cors', `It has ${cors.origins.length} origins.`, `Declare at most ${ORIGINS_MAX}.`);
}
