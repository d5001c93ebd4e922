import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { momentOf, wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';
import { digestLine } from './features.ts';

/** The most events of one request that the route accepts. */
const PAGE_EVENTS_MAX = 2_000;

interface Flags {
  readonly from?: string;
  readonly to?: string;
  readonly type?: string[];
  readonly rebuild?: boolean;
  readonly restart?: boolean;
  readonly rate?: string;
}

/** Sends stored events again, or rebuilds all features. */
export function registerReplay(program: Command): void {
  program
    .command('replay')
    .description(
      'sends stored events through the changes queue again; the same command resumes an unfinished replay',
    )
    .option('--from <time>', 'only events recorded at or after this moment (RFC 3339)')
    .option('--to <time>', 'only events recorded before this moment')
    .option('--type <type...>', 'only events of this type; may be repeated')
    .option(
      '--rebuild',
      'builds all features from the whole history beside the present ones, then replaces these',
    )
    .option('--restart', 'starts from the beginning')
    .option('--rate <n>', 'at most this many events a second')
    .action(async ({ from, to, type, rebuild = false, restart = false, rate }: Flags, command: Command) => {
      const replaying: Replaying = {
        ...(from === undefined ? {} : { from: momentOf('--from', from) }),
        ...(to === undefined ? {} : { to: momentOf('--to', to) }),
        ...(type === undefined ? {} : { types: type }),
        rebuild,
        restart,
        rate: rate === undefined ? Number.POSITIVE_INFINITY : wholeNumberOf('--rate', rate, { min: 1 }),
      };
      await replay(new Cli(command), replaying);
    });
}

interface Replaying {
  readonly from?: string;
  readonly to?: string;
  readonly types?: string[];
  readonly rebuild: boolean;
  readonly restart: boolean;
  /** Events a second at most. */
  readonly rate: number;
}

async function replay(cli: Cli, { rate, restart, ...wanted }: Replaying): Promise<void> {
  // A page a second at most where the rate is low, so that it is kept evenly.
  const body = { ...wanted, limit: Math.max(1, Math.min(PAGE_EVENTS_MAX, Math.floor(rate))) };
  const { reporter, target } = cli;
  reporter.notice(`Replaying at ${target.url}.`);
  let page = await step(cli, { ...body, restart });
  const before = page.replayed;
  const startedAt = Date.now();
  if (before > 0 && page.state !== 'done')
    reporter.notice(`Resuming after ${before.toLocaleString('en-US')} events.`);
  if (page.state === 'done' && !restart && page.replayed === page.total && before > 0)
    reporter.notice('This replay was complete before, or is with this page. --restart repeats it.');
  const show = () => {
    const share = (events: number) => (page.total === 0 ? 1 : Math.min(1, events / page.total));
    reporter.progress({
      unit: `of ${page.total.toLocaleString('en-US')} events`,
      done: page.replayed,
      doneByRun: page.replayed - before,
      fraction: share(page.replayed),
      fractionAtStart: share(before),
      elapsedMs: Date.now() - startedAt,
    });
  };
  while (page.state !== 'done') {
    page = await step(cli, body);
    show();
    await sleep(Math.max(0, ((page.replayed - before) / rate) * 1_000 - (Date.now() - startedAt)));
  }
  reporter.finish();
  const seconds = (Date.now() - startedAt) / 1_000;
  const ofRun = page.replayed - before;
  const lines = [
    `Replayed ${page.replayed} of ${page.total} events, ${ofRun} of them now, in ${seconds.toFixed(1)} s` +
      (seconds > 0 ? ` (${Math.round(ofRun / seconds)} events/s).` : '.'),
  ];
  if (page.digests !== undefined) {
    const { before: online, after } = page.digests;
    lines.push(`  online before  ${digestLine(online)}`, `  rebuilt        ${digestLine(after)}`);
    lines.push(
      online.digest === after.digest
        ? '  They agree.'
        : '  They differ. The features with a difference were invalidated.',
    );
  }
  cli.print(page, lines.join('\n'));
}

type Body = Omit<Replaying, 'rate' | 'restart'> & { readonly restart?: boolean; readonly limit: number };

/** A page that was processed twice changes nothing, so the call may be repeated. */
async function step({ client }: Cli, body: Body) {
  return (await client.post('/v1/admin/replay', { body, isRepeatable: true })).data;
}
