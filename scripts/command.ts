/**
 * `node scripts/command.ts NAME [arguments]`: runs a script of this deployment, as `npm run import` does. The
 * scripts are the `commands` of `src/catalog/project.ts`.
 */
import { UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { loadProject } from './project/load.ts';
import { runScript } from './project/run.ts';

await runCommand(async () => {
  const [name = '', ...rest] = process.argv.slice(2);
  const { commands } = loadProject();
  const script = commands[name];
  if (script !== undefined) return await runScript(script, rest);
  const known = Object.keys(commands).join(', ');
  throw new UsageError(
    `This deployment has no command "${name}". ${known === '' ? 'It has none' : `It has ${known}`}: ` +
      'commands are declared in src/catalog/project.ts.',
  );
});
