import type { Command } from 'commander';
import { REFERENCE_ROWS_MIN } from '../../../src/training/drift/reference.ts';
import { Cli } from '../cli.ts';

/** The command under `models` that shows whether the rows that a model is asked about drift. */
export function registerDrift(models: Command): void {
  models
    .command('drift')
    .description(
      'shows whether the rows that a model is asked about still look like those that it was judged on',
    )
    .argument('<model>')
    .action(async (model: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/models/{model}/drift', { path: { model } });
      if (data.versions.length === 0) {
        const why = `A run of npm run cli -- training start makes a version that is watched once it answers, if its test has ${REFERENCE_ROWS_MIN} rows that the model ranks or predicts.`;
        cli.reporter.notice(`No version of ${model} is watched. ${why}`);
      }
      for (const { version, rows, latest, threshold } of data.versions)
        cli.reporter.notice(
          latest === null
            ? `${version}: ${rows} rows were counted, too few for a verdict.`
            : `${version}: ${rows} rows were counted; ${latest.column} stands out most, ${latest.statistic.toFixed(2)} of ${threshold.toFixed(2)}.`,
        );
      const drifts = data.versions.flatMap(({ version, drifts }) =>
        drifts.map(({ since, until, found, training }) => [
          ...[since, until ?? 'goes on', version, found.column, found.by, found.psi.toFixed(3)],
          ...[found.level.toFixed(3), training?.run ?? training?.why ?? ''],
        ]),
      );
      cli.table(data, ['since', 'until', 'version', 'column', 'by', 'psi', 'level', 'training'], drifts);
    });
}
