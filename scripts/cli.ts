/**
 * `npm run cli -- COMMAND`: what an operator does to a running deployment, over its admin routes.
 * `--help` lists the commands.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as z from 'zod';
import { createReporter } from './progress.ts';

const EXIT_USAGE = 2;
/** What the route takes as a page. */
const PAGE_EVENTS_MAX = 2_000;
/** Tries of one page, while the server is away or busy: about a minute. */
const TRIES_MAX = 20;
const RETRY_MS = 3_000;

const USAGE = `npm run cli -- COMMAND [options]

  replay             sends stored events through the changes queue again; asked again it goes on where it was
    --from TIME      recorded at or after this moment (RFC 3339)
    --to TIME        recorded before this moment
    --type TYPE      of this type alone; may be given several times
    --rebuild        builds all features anew from the whole history, aside, and then puts them in place
    --restart        begins anew
    --rate N         at most N events a second
  digest             a digest of the features as they are read

  --url URL          where the server is (http://127.0.0.1:8787)
  --key KEY          API key; else MILLRACE_KEY, else the file .millrace/key`;

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

class CliError extends Error {}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8787' },
    key: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    type: { type: 'string', multiple: true },
    rebuild: { type: 'boolean', default: false },
    restart: { type: 'boolean', default: false },
    rate: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  const [command] = positionals;
  if (options.help || command === undefined) return console.log(USAGE);
  const key = (
    options.key ||
    process.env['MILLRACE_KEY'] ||
    (await readFile('.millrace/key', 'utf8').catch(() => ''))
  ).trim();
  if (key === '') throw new CliError('There is no API key: give --key, MILLRACE_KEY or .millrace/key.');
  if (command === 'replay') await replay(key);
  else if (command === 'digest') console.log(line(Digest.parse(await ask(key, '/v1/admin/features/digest'))));
  else throw new CliError(`There is no command "${command}".\n\n${USAGE}`);
}

async function replay(key: string): Promise<void> {
  const rate = options.rate === undefined ? Number.POSITIVE_INFINITY : Number(options.rate);
  if (!(rate >= 1)) throw new CliError(`--rate takes a number of at least 1, not ${options.rate}.`);
  const { from, to, type: types, rebuild } = options;
  // A page a second at most where the rate is low, so that it is kept evenly.
  const body = { from, to, types, rebuild, limit: Math.max(1, Math.min(PAGE_EVENTS_MAX, Math.floor(rate))) };
  const reporter = createReporter(process.stderr, Date.now);
  let page = await step(key, { ...body, restart: options.restart });
  const before = page.replayed;
  const startedAt = Date.now();
  if (before > 0 && page.state !== 'done')
    reporter.notice(`Going on after ${before.toLocaleString('en-US')} events.`);
  if (page.state === 'done' && !options.restart && page.replayed === page.total && before > 0)
    reporter.notice('It is done already, or with this page; --restart does it anew.');
  while (page.state !== 'done') {
    page = await step(key, body);
    const ofRun = page.replayed - before;
    const elapsedMs = Date.now() - startedAt;
    const share = (events: number) => (page.total === 0 ? 1 : Math.min(1, events / page.total));
    reporter.progress({
      unit: 'events',
      done: page.replayed,
      doneByRun: ofRun,
      fraction: share(page.replayed),
      fractionAtStart: share(before),
      elapsedMs,
    });
    await sleep(Math.max(0, (ofRun / rate) * 1_000 - elapsedMs));
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

async function step(key: string, body: unknown): Promise<Page> {
  return Page.parse(await ask(key, '/v1/admin/replay', body));
}

/** Asks until there is an answer; what is wrong with the request itself is not asked again. */
async function ask(key: string, path: string, body?: unknown): Promise<unknown> {
  for (let tries = 1; ; tries += 1) {
    const response = await fetch(new URL(path, options.url), {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((error: unknown) => String(error));
    if (typeof response !== 'string' && response.ok) return await response.json();
    const problem =
      typeof response === 'string' ? undefined : Problem.safeParse(await response.json().catch(() => null));
    const text =
      problem?.success === true ? `${problem.data.code}: ${problem.data.detail ?? ''}` : String(response);
    if ((typeof response !== 'string' && response.status < 500) || tries >= TRIES_MAX)
      throw new CliError(text);
    await sleep(RETRY_MS);
  }
}

function line({ digest, cells, events }: Digest): string {
  return `${digest}  ${cells} cells of ${events} folds`;
}

await main().catch((error: unknown) => {
  if (!(error instanceof CliError)) throw error;
  console.error(error.message);
  process.exitCode = EXIT_USAGE;
});
