import type { Command } from 'commander';
import { publishFolder } from '../../models/publish.ts';
import { Cli } from '../cli.ts';
import { NotThereYet } from '../exit-codes.ts';

/** `models`: publishes a bundle. What the server does not have yet says so. */
export function registerModels(program: Command): void {
  const models = program.command('models').description('publishes models');
  models
    .command('push')
    .description('publishes the bundle of a folder as the version that answers')
    .argument('<model>')
    .argument('<folder>', 'what npm run bundle wrote')
    .action(async (model: string, folder: string, _, command: Command) => {
      const cli = new Cli(command);
      cli.reporter.notice('The worker runs the golden rows, which takes some seconds.');
      const published = await publishFolder(folder, cli.target, model);
      cli.print(
        published,
        `Published version ${published.version} of ${published.name}: it answers from now on.`,
      );
    });
  for (const name of ['list', 'promote', 'rollback'])
    models
      .command(name)
      .description('not there yet: the server keeps one version of a model')
      .allowExcessArguments()
      .allowUnknownOption()
      .action(() => {
        throw new NotThereYet(`The server has no versions to ${name} yet: it keeps the one that answers.`);
      });
}
