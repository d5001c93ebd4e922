import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from 'commander';
import { type Client, createClient } from '../../src/client/index.ts';
import { type Target, targetOf, unreachable } from '../command-line/target.ts';
import { textTable } from '../command-line/text-table.ts';
import { createReporter, type Reporter } from '../progress.ts';
import { NotReachable } from './exit-codes.ts';

/** A page of a replay has 2,000 events, and a rebuild may put all features in place in one step. */
const ATTEMPT_MS = 120_000;
/** How long a command retries while the server is away or busy, in milliseconds, once it has answered. */
const DEADLINE_MS = 180_000;

export interface GlobalOptions {
  readonly url?: string;
  readonly key?: string;
  readonly keyFile?: string;
  readonly state?: string;
  readonly json?: boolean;
}

/** What a command works with: the worker, and the two outputs. Results go to stdout, progress to stderr. */
export class Cli {
  readonly target: Required<Target>;
  readonly client: Client;
  readonly reporter: Reporter;
  readonly isJson: boolean;

  /** @throws UsageError if the options name no worker or no key. */
  constructor(command: Command) {
    const options: GlobalOptions = command.optsWithGlobals();
    this.target = targetOf(options);
    this.reporter = createReporter(process.stderr, Date.now);
    this.isJson = options.json === true;
    this.client = clientOf(this.target, this.reporter);
  }

  /** Prints a result: as JSON with `--json`, else as the text. */
  print(value: unknown, text: string): void {
    console.log(this.isJson ? JSON.stringify(value, null, 2) : text);
  }

  /** Prints rows as a table; with `--json` the value as it is. */
  table(value: unknown, names: readonly string[], rows: readonly (readonly unknown[])[]): void {
    const cut = rows.map((row) => row.map(shownCell));
    this.print(value, rows.length === 0 ? 'None.' : textTable(names, cut));
  }
}

/** The most characters of a cell; `--json` prints the whole value. */
const CELL_CHARACTERS_MAX = 100;

function shownCell(value: unknown): unknown {
  if (value === null || value === undefined) return value;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= CELL_CHARACTERS_MAX ? text : `${text.slice(0, CELL_CHARACTERS_MAX - 1)}…`;
}

/** A client that retries while the worker is away or busy, but not before the worker has answered once. */
function clientOf(target: Target, reporter: Reporter): Client {
  let hasAnswered = false;
  let cause: unknown;
  let failures = 0;
  let reason = '';
  return createClient({
    ...{ url: target.url, key: target.key, deadlineMs: DEADLINE_MS, attemptMs: ATTEMPT_MS },
    system: {
      fetch: async (input, init) => {
        try {
          const response = await fetch(input, init);
          hasAnswered = true;
          failures = response.ok ? 0 : failures + 1;
          reason = `HTTP ${response.status}`;
          return response;
        } catch (error) {
          failures += 1;
          reason = 'no answer';
          cause = error;
          throw error;
        }
      },
      // The client sleeps between two attempts of a call, and at no other time.
      sleep: async (ms, signal) => {
        if (!hasAnswered) throw new NotReachable(unreachable(target, cause).message, { cause });
        reporter.notice(
          `The worker at ${target.url} is away or busy (${reason}). Retry ${failures} in ${(ms / 1_000).toFixed(1)} s.`,
        );
        await wait(ms, undefined, signal === undefined ? {} : { signal });
      },
    },
  });
}
