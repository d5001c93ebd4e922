import {
  AddressError,
  DeadlineError,
  MillraceError,
  ProblemError,
  UnexpectedAnswerError,
  UnreachableError,
} from '../../src/client/index.ts';
import { UsageError } from '../command-line/options.ts';
import { describeError } from '../command-line/run.ts';
import { addressOf, type TargetOptions } from '../command-line/target.ts';

/** The exit codes of `npm run cli` (docs/command-line.md). */
export const EXIT = {
  ok: 0,
  /** The command or the server failed, or a check of `doctor` did. */
  failed: 1,
  usage: 2,
  notReachable: 3,
  /** The server refused the request: no right to it, or something in it is wrong. */
  refused: 4,
} as const;

/** No worker answered at the address. */
export class NotReachable extends Error {}

/** The code and the one line of an error. */
export function outcomeOf(error: unknown, options: TargetOptions): { code: number; message: string } {
  if (error instanceof UsageError || error instanceof AddressError)
    return { code: EXIT.usage, message: error.message };
  if (error instanceof ProblemError) {
    const { status, code, problem } = error;
    const { url } = addressOf(options);
    const message =
      code === 'unauthorized'
        ? `The worker at ${url} refuses this key. Give the right one with --key-file, --key or MILLRACE_KEY.`
        : `The worker at ${url} answered ${status} ${code}: ${problem.detail}`;
    return { code: status >= 500 ? EXIT.failed : EXIT.refused, message };
  }
  if (error instanceof UnexpectedAnswerError)
    return { code: EXIT.notReachable, message: `${error.message} Name the worker with --url.` };
  if (error instanceof NotReachable || error instanceof UnreachableError || error instanceof DeadlineError)
    return { code: EXIT.notReachable, message: error.message };
  const code = error instanceof Error ? codeOfCause(error.cause) : EXIT.failed;
  return { code, message: describeError(error) };
}

/** A command that says in words of its own what failed has the error of the client as its cause. */
function codeOfCause(cause: unknown): number {
  if (cause instanceof ProblemError) return cause.status >= 500 ? EXIT.failed : EXIT.refused;
  return cause instanceof MillraceError ? EXIT.notReachable : EXIT.failed;
}
