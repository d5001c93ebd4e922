import type { Command } from 'commander';
import { Cli } from '../cli.ts';
import { type Check, diagnose } from '../doctor.ts';
import { EXIT } from '../exit-codes.ts';

/** `status` shows what is where; `doctor` says what to do about it. */
export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('shows counts of each stage: stored, quarantined, pending, folded, queued')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const [pipeline, queues, quality] = await Promise.all([
        cli.client.get('/v1/admin/pipeline'),
        cli.client.get('/v1/admin/queues'),
        cli.client.get('/v1/quality', { query: { window: '24h' } }),
      ]);
      const { events, quarantine, outbox, features } = pipeline.data;
      const refused = Object.values(quarantine).reduce((sum, count) => sum + count, 0);
      const { gate } = quality.data;
      const data = { url: cli.target.url, ...pipeline.data, queues: queues.data.items, quality: gate };
      cli.table(
        data,
        ['what', 'value'],
        [
          ['worker', `${cli.target.url} (${cli.target.origin})`],
          ['events stored', events.stored],
          ['events in quarantine', refused],
          ['changes not relayed yet', outbox.pending],
          ...Object.entries(features.folded).map(([entity, count]) => [`events folded, ${entity}`, count]),
          ...Object.entries(queues.data.items ?? {}).map(([queue, count]) => [`queued, ${queue}`, count]),
          [
            'quality of 24 hours',
            gate.evidence.score === null
              ? gate.verdict
              : `${gate.verdict}, ${gate.evidence.score.toFixed(3)}`,
          ],
        ],
      );
    });
  program
    .command('doctor')
    .description('checks the deployment, and says what to do about each fault')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const checks = await diagnose(cli.target, cli.client);
      const worst = (['fail', 'warn'] as const).find((one) => checks.some(({ verdict }) => verdict === one));
      cli.print({ url: cli.target.url, verdict: worst ?? 'ok', checks }, checks.map(lineOf).join('\n'));
      if (worst === 'fail') process.exitCode = EXIT.failed;
    });
}

function lineOf({ name, verdict, detail, advice }: Check): string {
  const mark = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' }[verdict];
  return `${mark} ${name}: ${detail}${advice === undefined ? '' : `\n     ${advice}`}`;
}
