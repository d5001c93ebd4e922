/**
 * `node scripts/command.ts NAME [arguments]`: runs a script of this deployment, as `npm run import` does. The
 * scripts are the `commands` of `src/catalog/project.ts`.
 */
import { loadProject } from './project/load.ts';
import { runScript } from './project/run.ts';

const [name = '', ...rest] = process.argv.slice(2);
const { commands } = loadProject();
const script = commands[name];
if (script === undefined) {
  const known = Object.keys(commands).join(', ');
  console.error(
    `This deployment has no command "${name}". ${known === '' ? 'It has none' : `It has ${known}`}: ` +
      'commands are declared in src/catalog/project.ts.',
  );
  process.exitCode = 2;
} else {
  process.exitCode = await runScript(script, rest);
}
