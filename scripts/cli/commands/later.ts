import type { Command } from 'commander';
import { NotThereYet } from '../exit-codes.ts';

const LATER: Readonly<Record<string, string>> = {
  impact: 'impact analysis of a change',
};

/** Commands for parts that the server does not have yet. */
export function registerLater(program: Command): void {
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
