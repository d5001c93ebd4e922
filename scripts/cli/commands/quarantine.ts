import type { Command } from 'commander';
import { type components, ProblemError } from '../../../src/client/index.ts';
import { UsageError } from '../../command-line/options.ts';
import { textOfFile, wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';
import { EXIT } from '../exit-codes.ts';

type Kept = components['schemas']['QuarantinedEvent'];
interface Filter {
  readonly reason?: string;
  readonly type?: string;
  readonly source?: string;
  readonly limit: string;
}

const idOf = (text: string) => wholeNumberOf('ID', text, { min: 1 });
const COLUMNS = ['id', 'received', 'type', 'reason', 'detail'];
const rowOf = ({ id, receivedAt, type, reason, detail }: Kept) => [id, receivedAt, type, reason, detail];

/** `quarantine` and `dead-letters`: events that were refused, and messages that no consumer could handle. */
export function registerQuarantine(program: Command): void {
  const quarantine = program.command('quarantine').description('lists, releases and discards refused events');
  filtered(quarantine.command('list').description('lists the open events, the newest first')).action(
    async (filter: Filter, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/quarantine', { query: queryOf(filter) });
      cli.table(data, COLUMNS, data.events.map(rowOf));
    },
  );
  quarantine
    .command('show')
    .description('shows an event as it was received')
    .argument('<id>')
    .action(async (id: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/quarantine/{id}', { path: { id: idOf(id) } });
      cli.print(data, JSON.stringify(data, null, 2));
    });
  quarantine
    .command('release')
    .description('checks events again, and stores those that pass')
    .argument('<ids...>')
    .option('--event <file>', 'the corrected event, of one id')
    .action(async (ids: string[], { event }: { event?: string }, command: Command) => {
      const cli = new Cli(command);
      const [first = ''] = ids;
      const body =
        event === undefined ? { ids: ids.map(idOf) } : { id: idOf(first), event: correctionIn(event) };
      const { data } = await cli.client.post('/v1/admin/quarantine/release', { body });
      cli.table(
        data,
        ['id', 'outcome', 'detail'],
        data.results.map((of) => [of.id, of.outcome, 'detail' in of ? of.detail : null]),
      );
      failUnless(data.results.every(({ outcome }) => outcome === 'released' || outcome === 'duplicate'));
    });
  quarantine
    .command('discard')
    .description('closes events for good')
    .argument('<ids...>')
    .requiredOption('--reason <text>', 'why; the audit log has it')
    .action(async (ids: string[], { reason }: { reason: string }, command: Command) => {
      const cli = new Cli(command);
      const body = { ids: ids.map(idOf), reason };
      await cli.client.post('/v1/admin/quarantine/discard', { body });
      // The answer does not tell which of them were open.
      const results: { id: number; state: string }[] = [];
      for (const id of body.ids) results.push({ id, state: await stateOf(cli, id) });
      cli.table(
        { results },
        ['id', 'state'],
        results.map(({ id, state }) => [id, state]),
      );
      failUnless(results.every(({ state }) => state === 'discarded'));
    });
  registerDeadLetters(program);
}

function registerDeadLetters(program: Command): void {
  const letters = program
    .command('dead-letters')
    .description('lists and replays messages that no consumer could handle');
  filtered(letters.command('list').description('lists the open ones, the newest first')).action(
    async (filter: Filter, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/dead-letters', { query: queryOf(filter) });
      cli.table(data, COLUMNS, data.events.map(rowOf));
    },
  );
  letters
    .command('replay')
    .description('sends them to their queue again')
    .argument('<ids...>')
    .action(async (ids: string[], _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/admin/dead-letters/replay', {
        body: { ids: ids.map(idOf) },
      });
      cli.table(
        data,
        ['id', 'outcome'],
        data.results.map(({ id, outcome }) => [id, outcome]),
      );
      failUnless(data.results.every(({ outcome }) => outcome === 'sent'));
    });
}

/** Ends with 1 if not every event that was named had the effect; the table says which. */
function failUnless(isDone: boolean): void {
  if (!isDone) process.exitCode = EXIT.failed;
}

async function stateOf(cli: Cli, id: number): Promise<string> {
  try {
    return (await cli.client.get('/v1/admin/quarantine/{id}', { path: { id } })).data.state;
  } catch (error) {
    if (error instanceof ProblemError && error.status === 404) return 'not_found';
    throw error;
  }
}

/** @throws UsageError for a file that cannot be read, or is no JSON object. */
function correctionIn(file: string): Record<string, unknown> {
  const text = textOfFile('--event', file);
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch (error) {
    throw new UsageError(
      `--event names ${file}, which is not JSON: ${error instanceof Error ? error.message : error}`,
    );
  }
  if (isObject(event)) return event;
  throw new UsageError(`--event names ${file}, which is not an event: it has no JSON object.`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function filtered(command: Command): Command {
  return command
    .option('--reason <code>', 'only those with this reason')
    .option('--type <type>', 'only events of this type')
    .option('--source <source>', 'only events of this source')
    .option('--limit <n>', 'at most this many', '20');
}

function queryOf({ limit, ...filter }: Filter) {
  return { ...filter, state: 'open' as const, limit: wholeNumberOf('--limit', limit, { min: 1, max: 100 }) };
}
