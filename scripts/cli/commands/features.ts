import type { Command } from 'commander';
import { Cli } from '../cli.ts';

/** `features` and `digest`: what the feature store has. */
export function registerFeatures(program: Command): void {
  program
    .command('features')
    .description('reads features')
    .command('read')
    .description('reads the features of entities as they are now')
    .argument('<entity>')
    .argument('<keys...>')
    .option('--feature <name...>', 'only these features')
    .action(async (entity: string, keys: string[], { feature }: { feature?: string[] }, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/features/read', {
        body: { entity, keys, ...(feature === undefined ? {} : { features: feature }) },
        isRepeatable: true,
      });
      const rows = data.results.flatMap(({ key, features }) =>
        Object.entries(features).map(([name, of]) => [
          key,
          name,
          of.value,
          of.status,
          of.eventAt === null ? null : new Date(of.eventAt).toISOString(),
        ]),
      );
      cli.table(data, ['key', 'feature', 'value', 'status', 'newest event'], rows);
    });
  program
    .command('digest')
    .description('prints a digest of all features; equal features have equal digests')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/features/digest');
      cli.print(data, digestLine(data));
    });
}

export function digestLine({
  digest,
  cells,
  events,
}: {
  digest: string;
  cells: number;
  events: number;
}): string {
  return `${digest}  ${cells} cells of ${events} folds`;
}
