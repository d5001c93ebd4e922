/** `npm run publish -- MODEL DIR`: publishes a bundle's folder as the version of the model that answers. */
import { parseArgs } from 'node:util';
import { runCommand } from './models/named.ts';
import { publishFolder } from './models/publish.ts';
import { TARGET_OPTIONS, TARGET_USAGE, targetOf } from './models/target.ts';

const USAGE = `npm run publish -- MODEL DIR [options]

Publishes the bundle in DIR (manifest.json, model.onnx, golden.json, and candidates.json of a ranking) as the version
of MODEL that answers. npm run bundle makes such a folder from an ONNX file; docs/models.md describes it.

${TARGET_USAGE}`;

await runCommand(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { ...TARGET_OPTIONS, help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(USAGE);
  const [model, folder] = positionals;
  if (model === undefined || folder === undefined) throw new Error(USAGE);
  const { name, version } = await publishFolder(folder, targetOf(values), model);
  console.log(`Published version ${version} of ${name}: it answers from now on.`);
});
