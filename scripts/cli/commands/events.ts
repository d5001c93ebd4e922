import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { changes, type OutgoingEvent, sendEvents } from '../../../src/client/index.ts';
import { UsageError } from '../../command-line/options.ts';
import { describeError } from '../../command-line/run.ts';
import { wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';
import { EXIT } from '../exit-codes.ts';

interface SendFlags {
  readonly wait?: boolean;
  readonly bulk?: boolean;
}

/** `events`: sends events, shows what became of one, and follows what they change. */
export function registerEvents(program: Command): void {
  const events = program.command('events').description('sends events, and follows them');
  events
    .command('send')
    .description('sends the events of a file, one JSON object a line, or a JSON array; - reads stdin')
    .argument('<file>')
    .option('--wait', 'waits until they are stored')
    .option('--bulk', 'lets live events overtake these')
    .action(async (file: string, { wait = false, bulk = false }: SendFlags, command: Command) => {
      const cli = new Cli(command);
      const report = await sendEvents(cli.client, eventsOf(file), {
        ...{ wait, lane: bulk ? 'bulk' : 'live' },
        onProgress: ({ accepted, duplicates, quarantined }) =>
          cli.reporter.notice(`${(accepted + duplicates + quarantined).toLocaleString('en-US')} events sent`),
      });
      const { accepted, duplicates, quarantined, verdicts } = report;
      const lines = verdicts.flatMap((of) =>
        of.verdict === 'quarantined'
          ? [`  event ${of.index + 1} (${of.id}): ${of.reason}, ${of.detail}`]
          : [],
      );
      const sum = `${accepted} accepted, ${duplicates} known before, ${quarantined} in quarantine`;
      cli.print(report, [sum, ...lines].join('\n'));
      if (quarantined > 0) process.exitCode = EXIT.failed;
    });
  events
    .command('status')
    .description('shows what became of an event')
    .argument('<source>')
    .argument('<id>')
    .action(async (source: string, id: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/events/{source}/{id}', { path: { source, id } });
      const about = Object.entries(data).filter(([name]) => !['source', 'id', 'status'].includes(name));
      cli.print(
        data,
        [
          data.status,
          ...about.map(
            ([name, value]) => `  ${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
          ),
        ].join('\n'),
      );
    });
  events
    .command('tail')
    .description('prints committed changes as they happen, until Ctrl-C; with --json one object a line')
    .option('--type <type...>', 'only changes by events of this type, or row')
    .option('--entity <entity...>', 'only changes of an entity, or of entity:key')
    .option('--limit <n>', 'ends after this many')
    .action(async (flags: { type?: string[]; entity?: string[]; limit?: string }, command: Command) => {
      const cli = new Cli(command);
      const limit =
        flags.limit === undefined
          ? Number.POSITIVE_INFINITY
          : wholeNumberOf('--limit', flags.limit, { min: 1 });
      let shown = 0;
      for await (const event of changes(cli.client, {
        types: flags.type ?? [],
        entities: flags.entity ?? [],
      })) {
        const text =
          event.kind === 'reset'
            ? `Changes may be missing before this line (${event.reason}).`
            : `${event.change.time ?? ''} ${event.change.type} ${event.change.entities.join(' ')}`.trim();
        console.log(cli.isJson ? JSON.stringify(event) : text);
        shown += 1;
        if (shown >= limit) return;
      }
    });
  events
    .command('types')
    .description('lists the event types that the deployment accepts')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/events/types');
      const rows = data.types.map((of) => [
        of.type,
        of.current ? 'current' : 'earlier',
        of.deprecated?.sunset,
        of.description,
      ]);
      cli.table(data, ['type', 'version', 'sunset', 'description'], rows);
    });
}

/** @throws UsageError for a line that is not an event, with its number. */
async function* eventsOf(file: string): AsyncGenerator<OutgoingEvent> {
  const input = file === '-' ? process.stdin : await opened(file);
  let number = 0;
  let isArray = false;
  let text = '';
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    number += 1;
    if (number === 1) isArray = line.trimStart().startsWith('[');
    if (isArray) text += `${line}\n`;
    else if (line.trim() !== '') yield eventOf(parsed(line, `line ${number}`), `line ${number}`);
  }
  if (!isArray) return;
  const list = parsed(text, file);
  if (Array.isArray(list))
    for (const [index, one] of list.entries()) yield eventOf(one, `event ${index + 1}`);
}

/** @throws UsageError for a file that cannot be read. */
async function opened(file: string): Promise<Readable> {
  try {
    const handle = await open(file);
    if (!(await handle.stat()).isDirectory()) return handle.createReadStream();
    await handle.close();
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${describeError(error)}.`);
  }
  throw new UsageError(`${file} is a folder. Name a file of events, or - for standard input.`);
}

function parsed(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(
      `The text of ${place} is not JSON: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function eventOf(value: unknown, place: string): OutgoingEvent {
  if (isEvent(value)) return value;
  throw new UsageError(`The JSON of ${place} is not an event: it needs "source" and "type".`);
}

function isEvent(value: unknown): value is OutgoingEvent {
  if (typeof value !== 'object' || value === null) return false;
  return typeof Reflect.get(value, 'source') === 'string' && typeof Reflect.get(value, 'type') === 'string';
}
