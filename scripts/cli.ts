/**
 * `npm run cli -- COMMAND`: what an operator does to a running deployment, over its admin routes.
 * `--help` lists the commands.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { nearest, readOptions, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { TARGET_OPTIONS, TARGET_USAGE, type Target, targetOf, unreachable } from './command-line/target.ts';
import { momentOf, wholeNumberOf } from './command-line/values.ts';
import { createReporter, type Reporter } from './progress.ts';

/** What the route takes as a page. */
const PAGE_EVENTS_MAX = 2_000;
/** Tries of one page, while the server is away or busy: about a minute. */
const TRIES_MAX = 20;
const RETRY_MS = 3_000;
/** A page replays 2,000 events, and a rebuild may put all features in place in one step. */
const ANSWER_MS_MAX = 120_000;

const USAGE = `npm run cli -- COMMAND [options]

  replay             sends stored events through the changes queue again; asked again it goes on where it was
    --from TIME      recorded at or after this moment (RFC 3339)
    --to TIME        recorded before this moment
    --type TYPE      of this type alone; may be given several times
    --rebuild        builds all features anew from the whole history, aside, and then puts them in place
    --restart        begins anew
    --rate N         at most N events a second
  digest             a digest of the features as they are read

${TARGET_USAGE}`;

const Digest = z.object({ digest: z.string(), cells: z.number(), events: z.number() });
type Digest = z.output<typeof Digest>;
const Page = z.object({
  state: z.enum(['opening', 'open', 'flipping', 'done']),
  total: z.number(),
  replayed: z.number(),
  digests: z.object({ before: Digest, after: Digest }).optional(),
});
type Page = z.output<typeof Page>;
const Problem = z.object({ code: z.string(), detail: z.string().optional() });

const COMMANDS = ['replay', 'digest'] as const;

async function main(): Promise<void> {
  const { values: options, positionals } = readOptions({
    command: 'npm run cli',
    positionalsMax: 1,
    options: {
      ...TARGET_OPTIONS,
      from: { type: 'string' },
      to: { type: 'string' },
      type: { type: 'string', multiple: true },
      rebuild: { type: 'boolean', default: false },
      restart: { type: 'boolean', default: false },
      rate: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const [command] = positionals;
  if (options.help || command === undefined) return console.log(USAGE);
  if (!COMMANDS.some((name) => name === command)) throw unknownCommand(command);
  const { from, to, type: types, rebuild, restart } = options;
  const replaying: Replaying = {
    ...(from === undefined ? {} : { from: momentOf('--from', from) }),
    ...(to === undefined ? {} : { to: momentOf('--to', to) }),
    ...(types === undefined ? {} : { types }),
    rebuild,
    restart,
    rate:
      options.rate === undefined
        ? Number.POSITIVE_INFINITY
        : wholeNumberOf('--rate', options.rate, { min: 1 }),
  };
  const asking = new Asking(targetOf(options), createReporter(process.stderr, Date.now));
  if (command === 'replay') await replay(asking, replaying);
  else console.log(line(Digest.parse(await asking.ask('/v1/admin/features/digest'))));
}

function unknownCommand(command: string): UsageError {
  const near = nearest(command, COMMANDS);
  const guess = near === undefined ? '' : ` Did you mean "${near}"?`;
  return new UsageError(`There is no command "${command}".${guess} It is one of ${COMMANDS.join(', ')}.`);
}

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
  let page = await asking.step({ ...body, restart });
  const before = page.replayed;
  const startedAt = Date.now();
  if (before > 0 && page.state !== 'done')
    reporter.notice(`Going on after ${before.toLocaleString('en-US')} events.`);
  if (page.state === 'done' && !restart && page.replayed === page.total && before > 0)
    reporter.notice('It is done already, or with this page; --restart does it anew.');
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
    page = await asking.step(body);
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
  console.log(`  online before  ${line(page.digests.before)}`);
  console.log(`  rebuilt        ${line(page.digests.after)}`);
  const isEqual = page.digests.before.digest === page.digests.after.digest;
  console.log(isEqual ? '  They agree.' : '  They differ; the features that do were invalidated.');
}

/** Requests to the worker, repeated while it is away or busy. */
class Asking {
  readonly target: Target;
  readonly reporter: Reporter;
  #hasAnswered = false;

  constructor(target: Target, reporter: Reporter) {
    this.target = target;
    this.reporter = reporter;
  }

  async step(body: unknown): Promise<Page> {
    return Page.parse(await this.ask('/v1/admin/replay', body));
  }

  /**
   * Asks until there is an answer; what is wrong with the request itself is not asked again, and neither is a worker that
   * never answered: the address is wrong, or nothing runs there.
   */
  async ask(path: string, body?: unknown): Promise<unknown> {
    const { target, reporter } = this;
    for (let tries = 1; ; tries += 1) {
      const response = await this.#fetch(path, body).catch((error: unknown) => unreachable(target, error));
      if (!(response instanceof Error)) {
        this.#hasAnswered = true;
        if (response.ok) return await response.json();
      }
      const text = response instanceof Error ? response.message : await refusalOf(response, target);
      const isFinal = response instanceof Error ? !this.#hasAnswered : response.status < 500;
      if (isFinal || tries >= TRIES_MAX) throw new Error(text);
      reporter.notice(`${text} Trying again in ${RETRY_MS / 1_000} s (${tries} of ${TRIES_MAX}).`);
      await sleep(RETRY_MS);
    }
  }

  #fetch(path: string, body: unknown): Promise<Response> {
    return fetch(new URL(path, this.target.url), {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${this.target.key}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}

async function refusalOf(response: Response, { url }: Target): Promise<string> {
  const { data: problem } = Problem.safeParse(await response.json().catch(() => null));
  if (problem?.code === 'unauthorized')
    return `The worker at ${url} does not take this key. Give the right one with --key or MILLRACE_KEY.`;
  if (problem !== undefined)
    return `The worker at ${url} answered ${response.status} ${problem.code}: ${problem.detail ?? ''}`;
  return `What answers at ${url} is no Millrace worker: it answered ${response.status}.`;
}

function line({ digest, cells, events }: Digest): string {
  return `${digest}  ${cells} cells of ${events} folds`;
}

await runCommand(main);
