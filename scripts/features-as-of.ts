/**
 * `npm run features:as-of -- FILE`: adds the features as of past moments to the rows of a file, for a training set.
 * `--help` lists the options.
 */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { historyOf } from '../src/composition/history.ts';
import type { JoinProgress } from '../src/features/join-history.ts';
import { connect } from '../src/storage/postgres/connect.ts';
import { databaseTarget } from './command-line/database.ts';
import { readOptions, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { STATE_DIR } from './command-line/target.ts';
import { momentOf } from './command-line/values.ts';
import { type JoinedTable, joinTable } from './features/join-table.ts';
import { readTable, rowText, type Table } from './features/table.ts';
import { createReporter } from './progress.ts';
import { loadCatalog } from './project/catalog.ts';

const COMMAND = 'npm run features:as-of';
const USAGE = `${COMMAND} -- FILE --entity NAME [options]

Adds the features of an entity as of past moments to the rows of FILE, which keeps its columns and its order. FILE is a
CSV with a header, or JSON lines (.jsonl); either may be gzipped (.gz). A row has a key and a moment; the command uses
only events that had happened, and were stored, by then (docs/features.md, "Point in time"). The database is that of
DATABASE_URL, else that of npm run dev. DATABASE_ENDPOINT names the HTTP address of a database that is not reached at
Neon's own. For features of a second entity, run it again on what it wrote.

  --entity NAME      the entity whose features are added
  --key COLUMN       the column of its key (by default, the one with the entity's name)
  --at COLUMN        the column of the moment, as 2026-05-31T09:00:00Z or in milliseconds since 1970 (at)
  --known MOMENT     count what was stored by this moment, or by "now"; by default a row's column "known", else its moment
  --before           leave out the events of the moment itself, for rows whose label is such an event
  --features NAMES   read names, separated by commas (all that need no request)
  --column-prefix TEXT  stands before the names of the added columns
  --statuses         add the status of each value, as NAME_status
  --out FILE         where to write; by default to standard output
  --state DIR        the state folder of npm run dev (${STATE_DIR})`;

await runCommand(async () => {
  const { values, positionals } = readOptions({
    command: COMMAND,
    positionalsMax: 1,
    options: {
      entity: { type: 'string' },
      key: { type: 'string' },
      at: { type: 'string', default: 'at' },
      known: { type: 'string' },
      before: { type: 'boolean', default: false },
      features: { type: 'string' },
      'column-prefix': { type: 'string', default: '' },
      statuses: { type: 'boolean', default: false },
      out: { type: 'string' },
      state: { type: 'string', default: STATE_DIR },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const [file] = positionals;
  if (file === undefined || values.entity === undefined)
    throw new UsageError(`Name a file and an --entity. \`${COMMAND} -- --help\` lists the options.`);
  const { known, entity, key, at, statuses } = values;
  const wishes = {
    ...{ entity, key, at, statuses, isBefore: values.before, prefix: values['column-prefix'] },
    known:
      known === undefined ? undefined : known === 'now' ? Date.now() : Date.parse(momentOf('--known', known)),
    features: values.features?.split(',').map((name) => name.trim()),
  };
  const catalog = await loadCatalog();
  const table = await readTable(file);
  const history = historyOf(connect(databaseTarget(process.env, values.state)), catalog);
  const reporter = createReporter(process.stderr, Date.now);
  try {
    const joined = await joinTable(table, wishes, catalog, history, progressOf(reporter, Date.now()));
    await write(table, joined, values.out);
    reporter.notice(`${joined.rows.length.toLocaleString('en-US')} rows have the features of ${entity}.`);
  } finally {
    reporter.finish();
  }
});

function progressOf(reporter: ReturnType<typeof createReporter>, startedAt: number) {
  let first: number | undefined;
  return ({ events, at, from, to }: JoinProgress): void => {
    first ??= from ?? at;
    const fraction = to > first ? Math.min(1, (at - first) / (to - first)) : 1;
    const elapsedMs = Date.now() - startedAt;
    const done = { unit: 'events', done: events, doneByRun: events };
    reporter.progress({ ...done, fraction, fractionAtStart: 0, elapsedMs });
  };
}

async function write(
  { format }: Table,
  { columns, rows }: JoinedTable,
  out: string | undefined,
): Promise<void> {
  const output = out === undefined ? process.stdout : createWriteStream(out);
  const header = Object.fromEntries(columns.map((column) => [column, column]));
  const lines = format === 'csv' ? [header, ...rows] : rows;
  for (const values of lines)
    if (!output.write(`${rowText(format, columns, values)}\n`)) await once(output, 'drain');
  if (output === process.stdout) return;
  output.end();
  await finished(output);
}
