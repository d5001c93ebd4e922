import type { Command } from 'commander';
import { ProblemError } from '../../../src/client/index.ts';
import { textTable } from '../../command-line/text-table.ts';
import { wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';
import { NotThereYet } from '../exit-codes.ts';

const LATER: Readonly<Record<string, string>> = {
  phases: 'switches of the phases',
  gates: 'handoff gates',
  incidents: 'incidents',
  impact: 'impact analysis of a change',
  datasets: 'training sets',
};

/** Commands for parts that the server does not have yet, or only in newer versions. */
export function registerLater(program: Command): void {
  program
    .command('audit')
    .description('lists the entries of the audit log')
    .option('--limit <n>', 'at most this many', '20')
    .action(async ({ limit }: { limit: string }, command: Command) => {
      const query = { limit: wholeNumberOf('--limit', limit, { min: 1, max: 100 }) };
      const cli = new Cli(command);
      const response = await cli.client.fetch('/v1/admin/audit', { query }).catch((error: unknown) => {
        if (error instanceof ProblemError && error.status === 404)
          throw new NotThereYet('This server shows no audit log yet.');
        throw error;
      });
      const data: unknown = await response.json();
      const entries: unknown = Reflect.get(Object(data), 'entries');
      const list = Array.isArray(entries) ? entries.map((one: unknown) => Object.entries(Object(one))) : [];
      const names = [...new Set(list.flatMap((one) => one.map(([name]) => name)))];
      const rows = list.map((one) => names.map((name) => Object.fromEntries(one)[name]));
      cli.print(data, rows.length === 0 ? 'None.' : textTable(names, rows));
    });
  for (const [name, what] of Object.entries(LATER))
    program
      .command(name)
      .description(`not there yet: ${what}`)
      .allowExcessArguments()
      .allowUnknownOption()
      .action(() => {
        throw new NotThereYet(`The server has no ${what} yet.`);
      });
}
