/**
 * `npm run sql -- "STATEMENT"`: runs a statement on the database of the running `npm run dev`. The embedded Postgres
 * listens for Neon's HTTP protocol alone, so `psql` cannot reach it; this command needs nothing but Node.
 */
import { neon, neonConfig } from '@neondatabase/serverless';
import { devDatabase } from './command-line/database.ts';
import { readOptions, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { STATE_DIR } from './command-line/target.ts';
import { textTable } from './command-line/text-table.ts';

const USAGE = `npm run sql -- "STATEMENT" [options]

Runs one SQL statement on the database of the running npm run dev, and prints its rows. Millrace captures
its changes, as those of any other writer, and invalidates the answers that depend on them. Millrace's own tables are in
the schema millrace.

  npm run sql -- "select count(*) from millrace.events"

  --state DIR        the state folder of npm run dev (${STATE_DIR})`;

await runCommand(async () => {
  const { values, positionals } = readOptions({
    command: 'npm run sql',
    positionalsMax: 1,
    options: { state: { type: 'string', default: STATE_DIR }, help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(USAGE);
  const [statement] = positionals;
  if (statement === undefined) throw new UsageError(`Give a statement.\n\n${USAGE}`);
  const { url, endpoint } = devDatabase(values.state);
  neonConfig.fetchEndpoint = () => endpoint;
  const keepText = { getTypeParser: () => (text: string) => text };
  const result = await neon(url).query(statement, [], {
    fullResults: true,
    arrayMode: true,
    types: keepText,
  });
  const names = result.fields.map(({ name }) => name);
  if (names.length > 0) console.log(textTable(names, result.rows));
  console.log(`${result.command} ${result.rowCount ?? ''}`.trim());
});
