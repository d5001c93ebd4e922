/** `npm run licences`: fails if a package of package-lock.json has a licence that is not accepted. */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { licenceFindings, Packages } from './project/licences.ts';

const LOCKFILE = 'package-lock.json';
const USAGE = `Usage: npm run licences

Fails if a package of ${LOCKFILE} has a licence that is not accepted: docs/security.md lists them.`;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run licences',
    options: { help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(USAGE);
  const { packages } = z.object({ packages: Packages }).parse(JSON.parse(readFileSync(LOCKFILE, 'utf8')));
  const findings = licenceFindings(packages);
  if (findings.length === 0) {
    console.log(`${Object.keys(packages).length - 1} packages have licences that are accepted.`);
    return 0;
  }
  throw new Error(`Licences that are not accepted:\n${findings.map((line) => `  ${line}`).join('\n')}`);
});
