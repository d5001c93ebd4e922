import { Command, Option } from 'commander';
import { UsageError } from '../command-line/options.ts';
import { STATE_DIR } from '../command-line/target.ts';
import { registerAlerts } from './commands/alerts.ts';
import { registerAudit } from './commands/audit.ts';
import { registerCache } from './commands/cache.ts';
import { registerContinuity } from './commands/continuity.ts';
import { registerDatasets } from './commands/datasets.ts';
import { registerEvents } from './commands/events.ts';
import { registerFeatures } from './commands/features.ts';
import { registerForget } from './commands/forget.ts';
import { registerImpact } from './commands/impact.ts';
import { registerIncidents } from './commands/incidents.ts';
import { registerKafka } from './commands/kafka.ts';
import { registerKeys } from './commands/keys.ts';
import { registerLifecycle } from './commands/lifecycle.ts';
import { registerModels } from './commands/models.ts';
import { registerPhases } from './commands/phases.ts';
import { registerQuarantine } from './commands/quarantine.ts';
import { registerReplay } from './commands/replay.ts';
import { registerStatus } from './commands/status.ts';
import { registerTraining } from './commands/training.ts';
import { candidatesOf, completionScript, isShell } from './completion.ts';

/** All commands of `npm run cli`. */
export function createProgram(folder: string): Command {
  const program = new Command('npm run cli --')
    .description('Operates a Millrace worker: the one of npm run dev, or a deployed one (--url).')
    .option('--url <url>', "the worker's address; by default that of the running npm run dev")
    .option('--key <key>', 'the API key; by default MILLRACE_KEY, else the key of npm run dev')
    .option('--key-file <file>', 'a file that has the API key')
    .addOption(new Option('--state <dir>', 'the state folder of npm run dev').default(STATE_DIR))
    .option('--json', 'prints the result as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed, 2 called wrongly, 3 no worker answers, 4 refused by the worker.',
    )
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  for (const register of [
    registerStatus,
    registerKeys,
    registerEvents,
    registerCache,
    registerFeatures,
    registerModels,
    registerDatasets,
    registerTraining,
    registerQuarantine,
    registerReplay,
    registerForget,
    registerKafka,
    registerAlerts,
    registerIncidents,
    registerAudit,
    registerPhases,
    registerImpact,
    registerLifecycle,
    registerContinuity,
  ])
    register(program);
  registerCompletion(program, folder);
  inherit(program);
  return program;
}

function registerCompletion(program: Command, folder: string): void {
  program
    .command('completion')
    .description('prints a shell function `millrace` with completion, for bash, zsh or fish')
    .argument('<shell>')
    .action((shell: string) => {
      if (!isShell(shell)) throw new UsageError(`The shells are bash, zsh and fish, not "${shell}".`);
      console.log(completionScript(shell, folder));
    });
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .action((words: string[]) => console.log(candidatesOf(program, words).join('\n')));
}

/** Subcommands that were made before throw their errors as the program does, and refuse surplus arguments. */
function inherit(command: Command): void {
  for (const inner of command.commands) {
    inner.copyInheritedSettings(command);
    inherit(inner);
  }
}
