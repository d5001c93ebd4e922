/** All events of a ranking's label, in memory: about 30 bytes for each. */
import type { EntityItems, ItemEvent } from '../../define/candidates.ts';
import { itemOf, type Touch } from '../datasets/touches.ts';

const EVENTS_FIRST = 4_096;

export class ItemHistory {
  readonly #keys = new Numbering();
  readonly #items = new Numbering();
  #key = new Uint32Array(EVENTS_FIRST);
  #item = new Uint32Array(EVENTS_FIRST);
  #at = new Float64Array(EVENTS_FIRST);
  #knownAt = new Float64Array(EVENTS_FIRST);
  #size = 0;
  /** The places of the events, by key, time and item; undefined until they are asked for. */
  #order: Uint32Array | undefined;

  /** How many events it has. */
  get size(): number {
    return this.#size;
  }

  /** Adds an event; one that names no item says nothing. */
  add(touch: Touch): void {
    const item = itemOf(touch);
    if (item === undefined) return;
    if (this.#size === this.#key.length) this.#grow();
    this.#key[this.#size] = this.#keys.of(touch.key);
    this.#item[this.#size] = this.#items.of(item);
    this.#at[this.#size] = touch.at;
    this.#knownAt[this.#size] = touch.knownAt;
    this.#size += 1;
    this.#order = undefined;
  }

  /** What was known of each entity before a moment, in the order of their keys. An entity without an event is left out. */
  *before(moment: number): Generator<EntityItems, void> {
    const order = this.#ordered();
    for (let start = 0; start < order.length; ) {
      const key = this.#key[order[start] ?? 0] ?? 0;
      const events: ItemEvent[] = [];
      let end = start;
      for (; end < order.length; end += 1) {
        const place = order[end] ?? 0;
        if (this.#key[place] !== key) break;
        if ((this.#knownAt[place] ?? 0) < moment)
          events.push({ item: this.#items.text(this.#item[place] ?? 0), at: this.#at[place] ?? 0 });
      }
      if (events.length > 0) yield { key: this.#keys.text(key), events };
      start = end;
    }
  }

  #ordered(): Uint32Array {
    if (this.#order !== undefined) return this.#order;
    const [key, item, at] = [this.#key, this.#item, this.#at];
    const [keyRank, itemRank] = [this.#keys.ranks(), this.#items.ranks()];
    const order = Uint32Array.from({ length: this.#size }, (_, place) => place);
    order.sort(
      (a, b) =>
        (keyRank[key[a] ?? 0] ?? 0) - (keyRank[key[b] ?? 0] ?? 0) ||
        (at[a] ?? 0) - (at[b] ?? 0) ||
        (itemRank[item[a] ?? 0] ?? 0) - (itemRank[item[b] ?? 0] ?? 0),
    );
    this.#order = order;
    return order;
  }

  #grow(): void {
    const grown = <T extends Uint32Array | Float64Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    const length = this.#size * 2;
    this.#key = grown(this.#key, new Uint32Array(length));
    this.#item = grown(this.#item, new Uint32Array(length));
    this.#at = grown(this.#at, new Float64Array(length));
    this.#knownAt = grown(this.#knownAt, new Float64Array(length));
  }
}

/** Texts by numbers, in the order in which they come. */
class Numbering {
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];

  of(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.#texts.length);
    this.#texts.push(text);
    return this.#texts.length - 1;
  }

  text(number: number): string {
    return this.#texts[number] ?? '';
  }

  /** For each number the place of its text among the sorted texts. */
  ranks(): Uint32Array {
    const sorted = this.#texts.map((_, number) => number);
    sorted.sort((a, b) => (this.text(a) < this.text(b) ? -1 : 1));
    const ranks = new Uint32Array(sorted.length);
    for (const [rank, number] of sorted.entries()) ranks[number] = rank;
    return ranks;
  }
}
