/**
 * `npm run cli -- COMMAND`: what an operator does to a running deployment, over its admin routes.
 * `--help` lists the commands.
 */
import { digestCommand } from './cli/digest.ts';
import { kafkaSeekCommand } from './cli/kafka-seek.ts';
import { replayCommand } from './cli/replay.ts';
import { nearest, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { TARGET_USAGE } from './command-line/target.ts';

const COMMAND = 'npm run cli';
const COMMANDS = new Map([
  ['replay', replayCommand],
  ['digest', digestCommand],
  ['kafka-seek', kafkaSeekCommand],
]);

const USAGE = `${COMMAND} -- COMMAND [options]

${[...COMMANDS.values()].map(({ usage }) => usage).join('\n')}

${TARGET_USAGE}`;

await runCommand(async () => {
  const [name, ...args] = process.argv.slice(2);
  if (name === undefined || name === '--help' || args.includes('--help')) return console.log(USAGE);
  const command = COMMANDS.get(name);
  if (command === undefined) throw unknownCommand(name);
  await command.run(`${COMMAND} -- ${name}`, args);
});

function unknownCommand(name: string): UsageError {
  const known = [...COMMANDS.keys()];
  if (name.startsWith('-'))
    return new UsageError(`Name the command before its options: one of ${known.join(', ')}.`);
  const near = nearest(name, known);
  const guess = near === undefined ? '' : ` Did you mean "${near}"?`;
  return new UsageError(`There is no command "${name}".${guess} The commands are ${known.join(', ')}.`);
}
