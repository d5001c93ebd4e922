/**
 * `npm run train -- [MODEL] [--publish …]`: makes a version of a model of the catalog, by the script or from the
 * bundle that `src/catalog/project.ts` names for it. MODEL may be left out where the project names one model.
 * Further arguments are the script's.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { publishFolder } from './models/publish.ts';
import { loadProject } from './project/load.ts';
import { runScript } from './project/run.ts';

const KEY_FILE = '.millrace/key';

async function main(): Promise<number> {
  const { models } = loadProject();
  const names = Object.keys(models);
  const given = process.argv.slice(2);
  const isNamed = given[0] !== undefined && !given[0].startsWith('-');
  const name = isNamed ? given[0] : names[0];
  const rest = isNamed ? given.slice(1) : given;
  if (name === undefined)
    throw new Error('src/catalog/project.ts names no models, so there is none to train.');
  const first = models[name];
  if (first === undefined || (!isNamed && names.length > 1))
    throw new Error(`Name one of the models of src/catalog/project.ts: ${names.join(', ')}.`);
  return 'train' in first ? await runScript(first.train, rest) : await publishBundle(first.bundle, rest);
}

async function publishBundle(folder: string, args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      publish: { type: 'boolean', default: false },
      url: { type: 'string', default: 'http://127.0.0.1:8787' },
      key: { type: 'string' },
    },
  });
  if (!values.publish) {
    console.log(`This model is not trained here: its bundle is ${folder}. --publish publishes it.`);
    return 0;
  }
  const key = values.key ?? (existsSync(KEY_FILE) ? readFileSync(KEY_FILE, 'utf8').trim() : undefined);
  if (key === undefined) throw new Error(`--publish needs --key, or ${KEY_FILE} of a running npm run dev.`);
  console.log('Published:', await publishFolder(folder, { url: values.url, key }));
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
