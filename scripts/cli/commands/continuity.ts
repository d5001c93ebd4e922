import type { Command } from 'commander';

/**
 * `export` and `restore`: a backup of a deployment as files, and an empty deployment from it. What they do is loaded when
 * they are called: the catalog and a driver of Postgres would make every other command wait for half a second.
 */
export function registerContinuity(program: Command): void {
  program
    .command('export')
    .description(
      'writes everything that cannot be derived to a folder, as of one moment, while the deployment serves; DATABASE_URL names its database',
    )
    .requiredOption('--to <dir>', 'the folder; the same command goes on after it was broken off')
    .option('--discard', 'drops what another export has left in the database, and begins again')
    .action(async (options: { to: string; discard?: boolean }, command: Command) => {
      const { runExport } = await import('./continuity-actions.ts');
      await runExport(options, command);
    });
  program
    .command('restore')
    .description(
      'puts a backup into an empty deployment, builds its features, and begins a new epoch of its clock',
    )
    .requiredOption(
      '--from <dir>',
      'the folder of the backup; the same command goes on after it was broken off',
    )
    .option('--verify', 'only compares the deployment with the backup')
    .action(async (options: { from: string; verify?: boolean }, command: Command) => {
      const { runRestore } = await import('./continuity-actions.ts');
      await runRestore(options, command);
    });
}
