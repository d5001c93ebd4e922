import { log } from '../../platform/logger.ts';
import { linesOf, recordOf, type ServedAnswer } from './record.ts';

/** A file is written as soon as it has so many answers, and never has more. */
export const FILE_ANSWERS_MAX = 500;
/** The most answers that wait in an isolate, of some kilobytes each. Further ones are counted as lost. */
export const WAITING_MAX = 1_000;
/** A writer that has not written after this time ended with its request, in milliseconds. */
const LOST_AFTER_MS = 60_000;

export interface ServedLogPorts {
  readonly now: () => number;
  /** Resolves when it is time to write. Answers that arrive before that are written together. */
  readonly pause: () => Promise<void>;
  readonly keepAlive: (work: Promise<unknown>) => void;
  /** Writes a file, whose name begins with this moment. */
  readonly put: (atMs: number, text: string) => Promise<void>;
  readonly counted: (outcome: 'logged' | 'lost', by: number) => void;
}

/**
 * Gathers the answers of an isolate that are logged. A file is written after a pause, or when it is full, behind an answer:
 * no request waits for it, and it never fails. A file that cannot be written is counted as lost and not written again.
 * What an isolate has not written when it is evicted is lost and not counted.
 */
export class ServedLog {
  #waiting: ServedAnswer[] = [];
  #pausingSince = Number.NEGATIVE_INFINITY;
  #writingSince = Number.NEGATIVE_INFINITY;

  add(answer: ServedAnswer, ports: ServedLogPorts): void {
    if (this.#waiting.length >= WAITING_MAX) {
      ports.counted('lost', 1);
      return;
    }
    this.#waiting.push(answer);
    const now = ports.now();
    if (this.#waiting.length >= FILE_ANSWERS_MAX && now - this.#writingSince >= LOST_AFTER_MS) {
      ports.keepAlive(this.#write(ports));
      return;
    }
    if (now - this.#pausingSince < LOST_AFTER_MS) return;
    this.#pausingSince = now;
    ports.keepAlive(this.#writeLater(ports));
  }

  async #writeLater(ports: ServedLogPorts): Promise<void> {
    await ports.pause();
    this.#pausingSince = Number.NEGATIVE_INFINITY;
    for (let file = 0; file < WAITING_MAX / FILE_ANSWERS_MAX; file += 1) await this.#write(ports);
  }

  async #write({ now, put, counted }: ServedLogPorts): Promise<void> {
    const answers = this.#waiting.splice(0, FILE_ANSWERS_MAX);
    if (answers.length === 0) return;
    this.#writingSince = now();
    try {
      await put(now(), linesOf(await Promise.all(answers.map(recordOf))));
      counted('logged', answers.length);
    } catch (error) {
      const message = 'A file of served predictions could not be written.';
      log('warn', message, { 'event.action': 'feedback' }, error);
      counted('lost', answers.length);
    } finally {
      this.#writingSince = Number.NEGATIVE_INFINITY;
    }
  }
}
