import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { readOptions } from '../command-line/options.ts';
import { TARGET_OPTIONS } from '../command-line/target.ts';
import { momentOf, wholeNumberOf } from '../command-line/values.ts';
import { type Asking, askingOf } from './asking.ts';
import type { CliCommand } from './command.ts';
import { Digest, digestLine } from './digest.ts';

/** The most events of one request that the route accepts. */
const PAGE_EVENTS_MAX = 2_000;

const Page = z.object({
  state: z.enum(['opening', 'open', 'flipping', 'done']),
  total: z.number(),
  replayed: z.number(),
  digests: z.object({ before: Digest, after: Digest }).optional(),
});
type Page = z.output<typeof Page>;

const USAGE = `  replay             sends stored events through the changes queue again; the same command resumes an unfinished replay
    --from TIME      only events recorded at or after this moment (RFC 3339)
    --to TIME        only events recorded before this moment
    --type TYPE      only events of this type; may be repeated
    --rebuild        builds all features from the whole history beside the present ones, then replaces these
    --restart        starts from the beginning
    --rate N         at most N events a second`;

/** Sends stored events again, or rebuilds all features. */
export const replayCommand: CliCommand = {
  usage: USAGE,
  run: async (command, args) => {
    const { values: options } = readOptions({
      command,
      args,
      options: {
        ...TARGET_OPTIONS,
        from: { type: 'string' },
        to: { type: 'string' },
        type: { type: 'string', multiple: true },
        rebuild: { type: 'boolean', default: false },
        restart: { type: 'boolean', default: false },
        rate: { type: 'string' },
      },
    });
    const { from, to, type: types, rebuild, restart, rate } = options;
    const replaying: Replaying = {
      ...(from === undefined ? {} : { from: momentOf('--from', from) }),
      ...(to === undefined ? {} : { to: momentOf('--to', to) }),
      ...(types === undefined ? {} : { types }),
      rebuild,
      restart,
      rate: rate === undefined ? Number.POSITIVE_INFINITY : wholeNumberOf('--rate', rate, { min: 1 }),
    };
    await replay(askingOf(options), replaying);
  },
};

interface Replaying {
  readonly from?: string;
  readonly to?: string;
  readonly types?: readonly string[];
  readonly rebuild: boolean;
  readonly restart: boolean;
  /** Events a second at most. */
  readonly rate: number;
}

async function replay(asking: Asking, { rate, restart, ...wanted }: Replaying): Promise<void> {
  // A page a second at most where the rate is low, so that it is kept evenly.
  const body = { ...wanted, limit: Math.max(1, Math.min(PAGE_EVENTS_MAX, Math.floor(rate))) };
  const { reporter, target } = asking;
  reporter.notice(`Replaying at ${target.url}.`);
  let page = await step(asking, { ...body, restart });
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
    page = await step(asking, body);
    show();
    await sleep(Math.max(0, ((page.replayed - before) / rate) * 1_000 - (Date.now() - startedAt)));
  }
  reporter.finish();
  const seconds = (Date.now() - startedAt) / 1_000;
  const ofRun = page.replayed - before;
  console.log(
    `Replayed ${page.replayed} of ${page.total} events, ${ofRun} of them now, in ${seconds.toFixed(1)} s` +
      (seconds > 0 ? ` (${Math.round(ofRun / seconds)} events/s).` : '.'),
  );
  if (page.digests === undefined) return;
  console.log(`  online before  ${digestLine(page.digests.before)}`);
  console.log(`  rebuilt        ${digestLine(page.digests.after)}`);
  const isEqual = page.digests.before.digest === page.digests.after.digest;
  console.log(isEqual ? '  They agree.' : '  They differ. The features with a difference were invalidated.');
}

async function step(asking: Asking, body: unknown): Promise<Page> {
  return Page.parse(await asking.ask('/v1/admin/replay', body));
}
