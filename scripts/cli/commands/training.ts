import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';

const LOOK_EVERY_MS = 500;
const OVER = new Set(['done', 'refused', 'failed', 'cancelled']);

/** `training`: runs that train a model in the worker. */
export function registerTraining(program: Command): void {
  const training = program
    .command('training')
    .description('starts, lists, shows, cancels and resumes training runs');
  training
    .command('start')
    .description('trains a model in the worker, and waits until the run is over')
    .argument('<model>')
    .option('--no-wait', 'ends once the run has begun')
    .action(async (model: string, { wait }: { wait: boolean }, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/training', { body: { model } });
      if (!wait) return cli.print(data, `The run ${data.id} has begun.`);
      await follow(cli, data.id);
    });
  training
    .command('list')
    .description('lists the runs, the newest first')
    .argument('[model]')
    .option('--limit <number>', 'how many', '50')
    .action(async (model: string | undefined, { limit }: { limit: string }, command: Command) => {
      const cli = new Cli(command);
      const query = {
        limit: wholeNumberOf('--limit', limit, { min: 1 }),
        ...(model === undefined ? {} : { model }),
      };
      const { data } = await cli.client.get('/v1/training', { query });
      const rows = data.runs.map((run) => [
        ...[run.id, run.model, run.reason, run.failure?.code ?? run.state, run.begunAt],
        ...[`${run.progress.done}/${run.progress.of}`, Math.round(run.cost.busyMs), run.version ?? ''],
      ]);
      const columns = ['id', 'model', 'reason', 'state', 'begun', 'progress', 'ms', 'version'];
      cli.table(data, columns, rows);
    });
  training
    .command('show')
    .description('shows a run with its gates, its cost and its evaluation')
    .argument('<id>')
    .action(async (id: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/training/{id}', { path: { id } });
      cli.print(data, JSON.stringify(data, null, 2));
    });
  training
    .command('cancel')
    .description('ends a run')
    .argument('<id>')
    .action(async (id: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/training/{id}/cancel', { path: { id } });
      cli.print(data, `The run ${id} is over: ${data.state}.`);
    });
  training
    .command('resume')
    .description('goes on with a run that failed or was cancelled, and waits until it is over')
    .argument('<id>')
    .action(async (id: string, _, command: Command) => {
      const cli = new Cli(command);
      await cli.client.post('/v1/training/{id}/resume', { path: { id } });
      await follow(cli, id);
    });
}

async function follow(cli: Cli, id: string): Promise<void> {
  for (let said = ''; ; ) {
    const { data } = await cli.client.get('/v1/training/{id}', { path: { id } });
    if (data.failure !== null) throw new Error(`${data.state}: ${data.failure.code}: ${data.failure.detail}`);
    if (OVER.has(data.state)) {
      const verdict = data.verdict === 'better' ? 'better' : 'not better';
      const alias = data.isChallenger ? ', and is the challenger' : '';
      return cli.print(data, `Version ${data.version} is registered: it is ${verdict}${alias}.`);
    }
    const { done, of } = data.progress;
    const text = of === 0 ? data.state : `${data.state}: ${done} of ${of}`;
    if (text !== said) cli.reporter.notice(text);
    said = text;
    await sleep(LOOK_EVERY_MS);
  }
}
