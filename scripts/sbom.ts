/** `npm run sbom`: writes the software bill of materials of what is deployed. */
import { readFileSync } from 'node:fs';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { SbomLockfile, sbomOf } from './project/sbom.ts';

const USAGE = `Usage: npm run sbom --silent > FILE

Writes the packages of what is deployed, with versions, licences and hashes, as JSON of CycloneDX 1.5: those of
package-lock.json that are no development dependencies.`;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run sbom',
    options: { help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(USAGE);
  const { packages } = SbomLockfile.parse(JSON.parse(readFileSync('package-lock.json', 'utf8')));
  console.log(JSON.stringify(sbomOf(packages), null, 2));
  return 0;
});
