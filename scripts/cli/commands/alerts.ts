import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { components } from '../../../src/client/index.ts';
import { UsageError } from '../../command-line/options.ts';
import { durationMs, momentOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';
import { EXIT } from '../exit-codes.ts';
import { burning } from '../watch.ts';

type Alert = components['schemas']['Alert'];
type Silence = components['schemas']['Silence'];
type Label = Silence['matchers'][number]['label'];

const LABELS: readonly Label[] = ['alertname', 'severity', 'objective', 'peer', 'window', 'route'];

/** `alerts`, `silences` and `maintenance`. */
export function registerAlerts(program: Command): void {
  const alerts = program.command('alerts').description('shows alerts, and what is left of the objectives');
  alerts
    .command('list')
    .description('lists the alerts, resolved ones of the last minutes included')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/alerts');
      cli.reporter.notice(
        data.evaluatedAt === null ? 'Never evaluated yet.' : `Evaluated at ${data.evaluatedAt}.`,
      );
      const rows = data.alerts.map((alert) => [
        ...[alert.state, alert.severity, nameOf(alert), alert.firedAt ?? alert.since, withheldBy(alert)],
        ...[alert.summary, alert.runbook],
      ]);
      cli.table(data, ['state', 'severity', 'alert', 'since', 'withheld by', 'summary', 'runbook'], rows);
    });
  alerts
    .command('objectives')
    .description('lists the objectives, with the share of bad events and what is left of the budget')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/alerts');
      const rows = data.objectives.map(({ name, target, badShares, budget, burnsInMinutes }) => [
        ...[name, percent(target), percent(badShares['1h']), percent(badShares['1d']), percent(budget.left)],
        ...[budget.hoursLeft === null ? '' : `${Math.round(budget.hoursLeft)} h`, burnsIn(burnsInMinutes)],
      ]);
      const head = ['objective', 'target', 'bad in 1h', 'bad in 1d', 'budget left', 'for', 'burns in'];
      cli.table(data.objectives, head, rows);
    });
  alerts
    .command('watch')
    .description('waits, and fails as soon as an objective burns so fast that its alert pages somebody')
    .option('--for <duration>', 'how long: 15m or 1h', '10m')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { for: duration }: { for: string } = command.opts();
      const forMs = durationMs(duration);
      if (forMs === undefined) throw new UsageError('Say how long, with --for, as 15m or 1h.');
      const sinceMs = Date.now();
      const report = async () => (await cli.client.get('/v1/admin/alerts')).data;
      const found = await burning({ report, sleep, now: Date.now }, { sinceMs, untilMs: sinceMs + forMs });
      cli.print({ burning: found ?? null }, found ?? 'No objective burns.');
      if (found !== undefined) process.exitCode = EXIT.failed;
    });
  alerts
    .command('regressions')
    .description('lists routes that have become slower, and answers that have become more expensive')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/alerts');
      const rows = data.regressions.map(({ name, against, before, now, oneIn }) => [
        ...[name, against, before.toPrecision(3), now.toPrecision(3), oneIn],
      ]);
      cli.table(data.regressions, ['what', 'against', 'before', 'now', 'by chance one in'], rows);
    });
  alerts
    .command('targets')
    .description('lists where notices go, and what waits there')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/alerts');
      const rows = data.targets.map(({ name, kind, waiting, oldestAt, deliveredAt, lastError, dropped }) => [
        ...[name, kind, waiting, oldestAt, deliveredAt, lastError, dropped],
      ]);
      const head = ['target', 'kind', 'waiting', 'since', 'last delivered', 'last error', 'dropped'];
      cli.table(data.targets, head, rows);
    });
  alerts
    .command('test')
    .description('sends a test notice to all targets')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/admin/alerts/test', {});
      const { targets } = data;
      cli.print(data, targets.length === 0 ? 'There are no targets.' : `Sent to ${targets.join(', ')}.`);
    });
  registerQuiet(program, 'silences', '/v1/admin/silences');
  registerQuiet(program, 'maintenance', '/v1/admin/maintenance');
}

function nameOf({ alertname, labels }: Alert): string {
  return [alertname, ...Object.values(labels)].join(' ');
}

function withheldBy({ inhibitedBy, silencedBy }: Alert): string {
  return inhibitedBy ?? (silencedBy === null ? '' : `silence ${silencedBy}`);
}

function burnsIn(minutes: number | null): string {
  return minutes === null ? '' : `${minutes} min`;
}

function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? '' : `${Number((100 * share).toPrecision(4))} %`;
}

interface Quiet {
  readonly match?: string[];
  readonly for?: string;
  readonly from?: string;
  readonly until?: string;
  readonly comment?: string;
}

function registerQuiet(
  program: Command,
  name: 'silences' | 'maintenance',
  path: '/v1/admin/silences' | '/v1/admin/maintenance',
): void {
  const isPlan = name === 'maintenance';
  const what = isPlan ? 'maintenance window' : 'silence';
  const group = program
    .command(name)
    .description(isPlan ? 'plans times in which alerts notify nobody' : 'withholds alerts until a moment');
  group
    .command('list')
    .description(`lists each ${what}, ended ones of the last seven days included`)
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get(path);
      const rows = Object.values(data)
        .flat()
        .map((of: Silence) => [
          of.state,
          of.id,
          of.startsAt,
          of.endsAt,
          matchersText(of),
          of.author,
          of.comment,
        ]);
      cli.table(data, ['state', 'id', 'from', 'until', 'matchers', 'author', 'comment'], rows);
    });
  group
    .command('add')
    .description(`adds a ${what}`)
    .option('--match <conditions...>', `conditions such as peer=kafka or objective!=quality, which hold all`)
    .option('--for <duration>', 'how long: 30m, 2h or 1d')
    .option('--from <moment>', 'when it begins; now unless given')
    .option('--until <moment>', 'when it ends, in place of --for')
    .option('--comment <text>', 'why')
    .action(async (flags: Quiet, command: Command) => {
      const cli = new Cli(command);
      const body = quietOf(flags, isPlan);
      const { data } = await cli.client.post(path, { body });
      cli.print(data, `The ${what} ${data.id} lasts from ${data.startsAt} until ${data.endsAt}.`);
    });
  group
    .command('end')
    .description(`ends a ${what} now`)
    .argument('<id>')
    .action(async (id: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.delete(`${path}/{id}`, { path: { id } });
      cli.print(data, `The ${what} ${id} has ended.`);
    });
}

function matchersText({ matchers }: Silence): string {
  return matchers.map(({ label, is, value }) => `${label}${is}${value}`).join(' ');
}

function quietOf({ match = [], for: duration, from, until, comment }: Quiet, isPlan: boolean) {
  if (comment === undefined) throw new UsageError('Say why, with --comment.');
  if (match.length === 0 && !isPlan)
    throw new UsageError('Say which alerts, with --match, as in --match peer=kafka.');
  const startsAt = from === undefined ? new Date().toISOString() : momentOf('--from', from);
  const endsAt = until === undefined ? endOf(startsAt, duration) : momentOf('--until', until);
  return { matchers: match.map(matcherOf), startsAt, endsAt, comment };
}

function endOf(startsAt: string, duration: string | undefined): string {
  const ms = durationMs(duration ?? '');
  if (ms === undefined)
    throw new UsageError('Say when it ends: with --for, as 30m, 2h or 1d, or with --until.');
  return new Date(Date.parse(startsAt) + ms).toISOString();
}

function matcherOf(text: string): { label: Label; is: '=' | '!='; value: string } {
  const [, label, is, value = ''] = /^(\w+)(!?=)(.*)$/.exec(text) ?? [];
  const known = LABELS.find((of) => of === label);
  if (known === undefined || is === undefined)
    throw new UsageError(
      `--match takes LABEL=VALUE or LABEL!=VALUE with one of ${LABELS.join(', ')}, not "${text}".`,
    );
  return { label: known, is: is === '=' ? '=' : '!=', value };
}
