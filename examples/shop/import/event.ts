import { hash } from 'node:crypto';
import type { InvoiceLine } from './line.ts';

export const IMPORT_SOURCE = '/imports/online-retail';

/** A CloudEvent 1.0 in its JSON format, as the shop's contracts take it. */
export interface LineEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: 'shop.purchase.v1' | 'shop.return.v1';
  /** RFC 3339; the text of the file where that is not a time. */
  readonly time: string;
  /** Absent where the line has no stock code: CloudEvents forbids an empty subject. */
  readonly subject?: string;
  readonly datacontenttype: 'application/json';
  readonly data: {
    readonly invoice: string;
    readonly sku: string;
    readonly description: string | null;
    readonly quantity: number | string;
    readonly unitPrice: number | string;
    readonly customerId: string | null;
    readonly country: string;
  };
}

const MILLISECONDS_PER_DAY = 86_400_000;
const HASH_DIGITS = 12;
/** The bucket of lines whose time could not be read. */
const UNDATED = Number.POSITIVE_INFINITY;

/**
 * Gives every line an id that depends on its content alone: `<invoice>-<sku>-<hash>-<n>`, where n counts the
 * equal lines before it.
 *
 * Lines of an invoice are not contiguous in the real file (equal lines are up to 254 rows apart), but the lines
 * are in order of time and equal lines have equal times. So the counts of the newest day and of the day before
 * it are enough. A step back by more than that begins a second edition in the same file (the merged copies hold
 * 2010-12-01 to 2010-12-09 twice); counting restarts there, so the repeated lines get the same ids again.
 */
export class LineIdentity {
  #countsByDay = new Map<number, Map<string, number>>();
  #newestDay = Number.NEGATIVE_INFINITY;
  #stepsBack = 0;

  /** Steps back in time so far. More than one per edition means that the file was sorted otherwise. */
  get stepsBack(): number {
    return this.#stepsBack;
  }

  /** Begins a sheet: what it repeats from another sheet is the same line. */
  startSection(): void {
    this.#countsByDay.clear();
    this.#newestDay = Number.NEGATIVE_INFINITY;
  }

  idOf(line: InvoiceLine): string {
    const content = `${line.invoice}-${line.sku}-${hashOfContent(line)}`;
    const counts = this.#countsOf(line);
    const occurrence = counts.get(content) ?? 0;
    counts.set(content, occurrence + 1);
    return `${content}-${occurrence}`;
  }

  #countsOf(line: InvoiceLine): Map<string, number> {
    if (typeof line.occurredAt !== 'number') return this.#bucket(UNDATED);
    const day = Math.floor(line.occurredAt / MILLISECONDS_PER_DAY);
    if (day < this.#newestDay - 1) {
      this.#stepsBack += 1;
      this.startSection();
    }
    if (day > this.#newestDay) {
      this.#newestDay = day;
      for (const known of this.#countsByDay.keys()) if (known < day - 1) this.#countsByDay.delete(known);
    }
    return this.#bucket(day);
  }

  #bucket(day: number): Map<string, number> {
    const known = this.#countsByDay.get(day);
    if (known !== undefined) return known;
    const fresh = new Map<string, number>();
    this.#countsByDay.set(day, fresh);
    return fresh;
  }
}

function hashOfContent(line: InvoiceLine): string {
  const { description, quantity, occurredAt, unitPrice, customerId, country } = line;
  const content = JSON.stringify([description, quantity, occurredAt, unitPrice, customerId, country]);
  return hash('sha256', content, 'hex').slice(0, HASH_DIGITS);
}

export interface EventContext {
  /** The CloudEvents `source`: ids are unique within it. */
  readonly source: string;
  readonly id: string;
  /** Milliseconds added to the line's time. The id does not change with them. */
  readonly shiftMs?: number;
}

/** Maps a line to its event; a line of a cancelled invoice (`C…`) is a return of a positive quantity. */
export function toCloudEvent(line: InvoiceLine, { source, id, shiftMs = 0 }: EventContext): LineEvent {
  const { invoice, sku, description, quantity, occurredAt, unitPrice, customerId, country } = line;
  const isReturn = /^c/i.test(invoice);
  return {
    specversion: '1.0',
    id,
    source,
    type: isReturn ? 'shop.return.v1' : 'shop.purchase.v1',
    time: typeof occurredAt === 'number' ? new Date(occurredAt + shiftMs).toISOString() : occurredAt,
    ...(sku === '' ? {} : { subject: sku }),
    datacontenttype: 'application/json',
    data: {
      invoice,
      sku,
      description,
      quantity: isReturn && typeof quantity === 'number' ? 0 - quantity : quantity,
      unitPrice,
      customerId,
      country,
    },
  };
}
