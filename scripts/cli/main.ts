/** Runs one command of `npm run cli`, and ends with its exit code. */
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { assertNotTakenByNpm } from '../command-line/options.ts';
import { EXIT, outcomeOf } from './exit-codes.ts';
import { createProgram } from './program.ts';

// `head` closes the pipe when it has its lines: the rest of the output has no reader, which is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.ok);
});

const program = createProgram(join(import.meta.dirname, '../..'));

try {
  const names = program.options.flatMap(({ long }) => long?.slice(2) ?? []);
  assertNotTakenByNpm(names, 'npm run cli --', process.env);
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and the list of commands end by such an error, too.
    const isHelp = error.exitCode === 0;
    if (error.code === 'commander.help') program.outputHelp();
    else if (!isHelp) console.error(error.message.replace(/^error: /, '').replaceAll('\n', ' '));
    process.exitCode = isHelp ? EXIT.ok : EXIT.usage;
  } else {
    const { code, message } = outcomeOf(error, program.opts());
    console.error(message);
    process.exitCode = code;
  }
}
