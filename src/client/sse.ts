/** A server-sent event (HTML Living Standard §9.2). */
export interface ServerSentEvent {
  /** `message` if the stream does not name it. */
  readonly event: string;
  /** The text of its `data` lines; empty for a block that only moves the position or the retry time. */
  readonly data: string;
  /** The last id of the stream so far. */
  readonly id: string | undefined;
  /** The reconnection time that the stream gave, in milliseconds. */
  readonly retryMs: number | undefined;
}

/** The most characters of one event. A change of the feed has some hundreds. */
const EVENT_CHARACTERS_MAX = 1_048_576;

/**
 * Reads the events of a stream. Unlike a browser's `EventSource`, it also yields blocks without data: each shows that the
 * connection lives, and may move the position.
 */
export class SseParser {
  #pending = '';
  #id: string | undefined;
  #retryMs: number | undefined;

  /** @throws RangeError for an event that is larger than the limit. */
  *push(text: string): Generator<ServerSentEvent> {
    // A carriage return at the end may be the first half of CRLF, so it waits for the next piece.
    const whole = (this.#pending + text).replaceAll(/\r\n|\r(?!$)/g, '\n');
    const blocks = whole.split('\n\n');
    this.#pending = blocks.pop() ?? '';
    if (this.#pending.length > EVENT_CHARACTERS_MAX)
      throw new RangeError(`An event of the stream has more than ${EVENT_CHARACTERS_MAX} characters.`);
    for (const block of blocks) yield this.#eventOf(block);
  }

  #eventOf(block: string): ServerSentEvent {
    const data: string[] = [];
    let event = 'message';
    for (const line of block.split('\n')) {
      const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
      if (field === 'data') data.push(value);
      else if (field === 'event') event = value;
      else if (field === 'id' && !value.includes('\0')) this.#id = value;
      else if (field === 'retry' && /^\d{1,9}$/.test(value)) this.#retryMs = Number(value);
    }
    return { event, data: data.join('\n'), id: this.#id, retryMs: this.#retryMs };
  }
}
