import type { Command } from 'commander';
import { publishFolder } from '../../models/publish.ts';
import { Cli } from '../cli.ts';
import { registerDrift } from './drift.ts';
import { registerFeedback } from './feedback.ts';
import { registerRollouts } from './rollouts.ts';
import { registerSkew } from './skew.ts';

type Alias = 'champion' | 'challenger' | 'shadow';

/** `models`: the versions of the models, and which of them answers. */
export function registerModels(program: Command): void {
  const models = program
    .command('models')
    .description('lists, publishes, promotes and withdraws versions of models');
  registerReads(models);
  registerPush(models);
  registerAliases(models);
  registerDrift(models);
  registerRollouts(models);
  registerFeedback(models);
  registerSkew(models);
  models
    .command('retire')
    .description('withdraws a version for good: no alias can name it any more')
    .argument('<model>')
    .argument('<version>')
    .action(async (model: string, version: string, _, command: Command) => {
      const cli = new Cli(command);
      const path = { model, version };
      const { data } = await cli.client.post('/v1/admin/models/{model}/versions/{version}/retire', { path });
      cli.print(data, `Version ${version} of ${model} is withdrawn.`);
    });
}

function registerReads(models: Command): void {
  models
    .command('list')
    .description('lists the models of the catalog, and the versions that their aliases name')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/models');
      const rows = data.models.map(({ name, task, aliases }) => [
        ...[name, task, aliases.champion?.version, aliases.challenger?.version, aliases.shadow?.version],
        aliases.champion?.since,
      ]);
      cli.table(data, ['model', 'task', 'champion', 'challenger', 'shadow', 'champion since'], rows);
    });
  models
    .command('versions')
    .description('lists the newest versions of a model')
    .argument('<model>')
    .action(async (model: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/models/{model}', { path: { model }, query: { limit: 100 } });
      const aliasesOf = (version: string) =>
        Object.entries(data.aliases)
          .filter(([, named]) => named.version === version)
          .map(([alias]) => alias)
          .join(' ');
      const rows = data.versions.map(({ version, registeredAt, retiredAt, bytes, measured }) => [
        ...[version, retiredAt === null ? aliasesOf(version) : 'withdrawn', registeredAt, bytes],
        measured.warmP99Ms,
      ]);
      cli.table(data, ['version', 'alias', 'registered', 'bytes', 'p99 ms'], rows);
    });
}

function registerPush(models: Command): void {
  models
    .command('push')
    .description('registers the bundle of a folder, and makes it the version that answers')
    .argument('<model>')
    .argument('<folder>', 'what npm run bundle wrote')
    .option('--register-only', 'the version that answers stays')
    .action(async (model: string, folder: string, options: { registerOnly?: boolean }, command: Command) => {
      const cli = new Cli(command);
      const isPublished = options.registerOnly !== true;
      const onRead = () => cli.reporter.notice('The worker runs the golden rows, which takes some seconds.');
      const published = await publishFolder(folder, cli.target, model, { isPublished, onRead });
      const { name, version } = published;
      cli.print(
        published,
        isPublished
          ? `Published version ${version} of ${name}: it answers from now on.`
          : `Registered version ${version} of ${name}. Let it answer: npm run cli -- models promote ${name} ${version}`,
      );
    });
}

function registerAliases(models: Command): void {
  const asAlias = ['--alias <alias>', 'champion, challenger or shadow', 'champion'] as const;
  const ifNamed = ['--expected <version>', 'only if the alias names this version until now'] as const;
  models
    .command('promote')
    .description('makes a registered version the one that answers, or gives it another alias')
    .argument('<model>')
    .argument('<version>')
    .option(...asAlias)
    .option(...ifNamed)
    .action(
      async (
        model: string,
        version: string,
        options: { alias: Alias; expected?: string },
        command: Command,
      ) => {
        const cli = new Cli(command);
        const { alias, expected } = options;
        const { data } = await cli.client.put('/v1/admin/models/{model}/aliases/{alias}', {
          path: { model, alias },
          body: { version, ...(expected === undefined ? {} : { expected }) },
        });
        cli.print(data, `The ${alias} of ${model} is version ${data.version}.`);
      },
    );
  models
    .command('rollback')
    .description('makes the version that answered before answer again')
    .argument('<model>')
    .option(...asAlias)
    .option(...ifNamed)
    .action(async (model: string, options: { alias: Alias; expected?: string }, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/admin/models/{model}/rollback', {
        path: { model },
        body: options,
      });
      cli.print(data, `The ${options.alias} of ${model} is version ${data.version} again.`);
    });
}
