import { createWriteStream, type WriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import type { Moment } from '../../test/support/coherence/judge.ts';
import type { Write } from './history.ts';

/** Changes with every change of the format that a reader of docs/history.md has to know. */
const FORMAT = 'millrace-history/1';

/** What holds for the whole run. */
export interface RunFacts {
  readonly database: string;
  readonly isolates: number;
  readonly boundMs: number;
  readonly sourceBoundMs: number;
  readonly timeoutMs: number;
  readonly broken: string | null;
}

/** One request to read, and what became of it. */
export interface ReadLine {
  readonly process: string;
  readonly session: string | null;
  readonly isolate: number;
  readonly generation: number;
  readonly level: 'strong' | 'session' | 'bounded' | 'eventual';
  readonly view: string;
  readonly path: string;
  readonly shape: 'row' | 'page';
  readonly tokenIn: string | null;
  readonly start: Moment;
  readonly end: Moment;
  readonly status: number | null;
  readonly noAnswer: string | null;
  readonly tokenOut: string | null;
  readonly cacheStatus: string | null;
  readonly marked: boolean;
  /** The version of each key that the answer shows; null where it shows that there is no such row. */
  readonly shows: readonly { readonly key: string; readonly version: number | null }[];
}

/** A history of a run as JSON lines, as docs/history.md describes them. */
export class HistoryFile {
  readonly #stream: WriteStream;
  #lines = 0;

  constructor(path: string) {
    this.#stream = createWriteStream(path);
  }

  begin(facts: RunFacts): void {
    this.#put({ type: 'run', format: FORMAT, ...facts });
  }

  read(line: ReadLine): void {
    this.#put({ type: 'read', ...line });
  }

  /** Writes the line of one write, once no more will become known of it. */
  write({
    dep,
    kind,
    version,
    absent,
    process,
    begun,
    attempts,
    committed,
    acknowledged,
    token,
  }: Write): void {
    this.#put({
      type: 'write',
      process,
      by: kind,
      key: dep,
      version,
      absent,
      begin: begun,
      committedBy: committed ?? null,
      acknowledged: acknowledged ?? null,
      token: token === undefined ? null : `${token.epoch}.${token.seq}`,
      outcome:
        acknowledged !== undefined ? 'acknowledged' : committed !== undefined ? 'committed' : 'unknown',
      attempts: attempts.map(({ status, noAnswer, token: given, ...attempt }) => ({
        ...attempt,
        status: status ?? null,
        noAnswer: noAnswer ?? null,
        token: given ?? null,
      })),
    });
  }

  async end(): Promise<void> {
    this.#put({ type: 'end', lines: this.#lines });
    this.#stream.end();
    await finished(this.#stream);
  }

  #put(line: object): void {
    this.#lines += 1;
    this.#stream.write(`${JSON.stringify(line)}\n`);
  }
}
