import * as z from 'zod';
import { UsageError } from './options.ts';

/** The exit code of a command that was called wrongly, as shells have it. */
export const EXIT_USAGE = 2;

/** Errors of the language itself. They show a defect of the program, so their stack is worth its lines. */
const DEFECTS = [TypeError, ReferenceError, RangeError];

/**
 * Runs a command: an error is one message on the console, without a stack, and the exit code 1; 2 where the command was
 * called wrongly.
 *
 * @param name what the message begins with; nothing where the message speaks for itself.
 * @param main what it returns, if a number, is the exit code.
 */
export async function runCommand(main: () => Promise<unknown>, name = ''): Promise<void> {
  try {
    const code = await main();
    if (typeof code === 'number') process.exitCode = code;
  } catch (error) {
    console.error(`${name === '' ? '' : `${name}: `}${describeError(error)}`);
    process.exitCode = error instanceof UsageError ? EXIT_USAGE : 1;
  }
}

/**
 * Reads the options of a script whose body is its module, as a bench has it. A wrong call ends the process with one
 * message and the exit code 2, before the script has started anything.
 */
export function readOrExit<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exit(EXIT_USAGE);
  }
}

/** An error as a person reads it: its message, or the causes where it has none. Connection strings stay out of it. */
export function describeError(error: unknown): string {
  if (error instanceof z.ZodError) return z.prettifyError(error);
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(describeError).join('; ');
  if (!(error instanceof Error)) return String(error);
  // `fetch failed` is a TypeError whose cause says what happened.
  if (DEFECTS.some((kind) => error instanceof kind))
    return error.cause === undefined ? (error.stack ?? error.message) : describeError(error.cause);
  if (error.message !== '') return error.message;
  return error.cause === undefined ? error.name : describeError(error.cause);
}
