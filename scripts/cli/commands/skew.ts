import type { Command } from 'commander';
import { Cli } from '../cli.ts';

/** The command under `models` that computes served answers again from history. */
export function registerSkew(models: Command): void {
  models
    .command('skew')
    .description('computes some answers of the last hour again from history; fails if one differs')
    .argument('<model>')
    .option('--limit <answers>', 'answers that are computed again', '10')
    .action(async (model: string, options: { limit: string }, command: Command) => {
      const cli = new Cli(command);
      const path = '/v1/admin/models/{model}/skew';
      const query = { limit: Number(options.limit) };
      const { data } = await cli.client.get(path, { path: { model }, query });
      const rows = data.answers.map(({ id, at, version, verdict, why, events }) => [
        ...[at, id, version, verdict, why ?? '', events],
      ]);
      cli.table(data, ['at', 'prediction', 'version', 'verdict', 'why', 'events'], rows);
      if (data.mismatches > 0) throw new Error(`${data.mismatches} answers differ from their history.`);
    });
}
