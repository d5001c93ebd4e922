/** `npm run publish -- MODEL DIR`: publishes a bundle's folder as the version of the model that answers. */
import { readOptions, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { TARGET_OPTIONS, TARGET_USAGE, targetOf } from './command-line/target.ts';
import { publishFolder } from './models/publish.ts';

const USAGE = `npm run publish -- MODEL DIR [options]

Publishes the bundle in DIR (manifest.json, model.onnx, golden.json, and candidates.json of a ranking) as the version
of MODEL that answers. npm run bundle makes such a folder from an ONNX file; docs/models.md describes it.

${TARGET_USAGE}`;

await runCommand(async () => {
  const { values, positionals } = readOptions({
    command: 'npm run publish',
    positionalsMax: 2,
    options: { ...TARGET_OPTIONS, help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(USAGE);
  const [model, folder] = positionals;
  if (model === undefined || folder === undefined)
    throw new UsageError(`Name a model and a bundle's folder.\n\n${USAGE}`);
  const target = targetOf(values);
  console.log(
    `Publishing ${folder} at ${target.url}. The worker runs the golden rows, which takes some seconds.`,
  );
  const { name, version } = await publishFolder(folder, target, model);
  console.log(`Published version ${version} of ${name}: it answers from now on.`);
});
