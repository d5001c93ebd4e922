import type { Command } from 'commander';
import { Cli } from '../cli.ts';

interface Rate {
  readonly trials: number;
  readonly hits: number;
  readonly rate: number | null;
  readonly low: number;
  readonly high: number;
}

/** The command under `models` that shows what later events say of the answers of a model. */
export function registerFeedback(models: Command): void {
  models
    .command('feedback')
    .description('shows the online hit rate of each version of a model, with its interval of 95 %')
    .argument('<model>')
    .option('--days <days>', 'answers of so many days', '30')
    .option('--positions', 'by position of the item, ranked and explored')
    .action(async (model: string, options: { days: string; positions?: boolean }, command: Command) => {
      const cli = new Cli(command);
      const path = '/v1/admin/models/{model}/feedback';
      const { data } = await cli.client.get(path, { path: { model }, query: { days: Number(options.days) } });
      const { versions, since, share } = data;
      cli.reporter.notice(`Answers since ${since}, of which ${share * 100} % are logged.`);
      if (options.positions === true) {
        const rows = versions.flatMap(({ version, positions }) =>
          positions.map(({ position, ranked, explored }) => [
            ...[version, position, ranked.trials, ...shown(ranked), explored.trials, ...shown(explored)],
          ]),
        );
        const head = ['version', 'position', 'shown', 'hit rate', '95 %', 'explored', 'hit rate', '95 %'];
        return cli.table(data, head, rows);
      }
      const rows = versions.map(({ version, answers, pending, unlabelled, dropped, ranked, explored }) => [
        ...[version, answers.ranked, answers.explored, answers.degraded + answers.other],
        ...[
          pending.trials,
          dropped,
          unlabelled,
          ranked.trials,
          ranked.hits,
          ...shown(ranked),
          ...shown(explored),
        ],
      ]);
      const head = [
        ...['version', 'answers', 'explored', 'other', 'pending', 'dropped', 'unlabelled', 'trials', 'hits'],
        ...['hit rate', '95 %', 'explored hit rate', '95 %'],
      ];
      cli.table(data, head, rows);
    });
}

function shown({ rate, low, high }: Rate): [string, string] {
  if (rate === null) return ['', ''];
  return [rate.toFixed(4), `${low.toFixed(4)} to ${high.toFixed(4)}`];
}
