/** Sizes of a clock's memory of changed tags. */
export interface ClockLimits {
  /**
   * The most changes that a clock remembers, counted in tags. With 262,144, a clock that gets 550 tags a second
   * remembers eight minutes, and takes at most 6.3 MB (12 bytes for a tag in the log, 16 in the table).
   */
  readonly tagsMax: number;
  /** The most tags that one answer to a sync brings; each takes four bytes, and an invalidation two.
   * 60,000 take less than 300 KB where an invalidation has two tags or more. */
  readonly tagsPerSyncMax: number;
}

export const CLOCK_LIMITS: ClockLimits = { tagsMax: 262_144, tagsPerSyncMax: 60_000 };

/** A change of one tag: the invalidation's number, and the tag's hash. */
export interface TagChange {
  readonly seq: number;
  readonly tag: number;
}

/** Versions are 32-bit numbers relative to a base. */
const VERSION_MAX = 0xffff_ffff;
const LOG_SIZE_MIN = 8;
const TABLE_SIZE_MIN = 8;
/** Fewer changes than this are not worth a look at the sizes. */
const RESERVED_MIN = 1_000;
/** 512 KB: a core's second-level cache holds that beside other data. */
const FILTER_SIZE_MAX = 131_072;
/** Linear probing needs empty cells: beyond three quarters, a search of a tag that is not there takes nine probes. */
const TABLE_LOAD_MAX = 0.75;

/**
 * The changed tags that a clock remembers: every change after the *floor*, and none up to it. An entry that was stamped
 * before the floor cannot be judged, so it counts as invalid.
 *
 * - The log holds the changes in the order of their numbers. It is a ring of two columns: the tag's hash, and the number
 *   of its invalidation. A delta is the end of the log.
 * - The table holds each tag's newest change: an open-addressing hash table with linear probing (Knuth, The Art of
 *   Computer Programming 3, §6.4, algorithm L). Changes up to the floor stay in it until it is built anew. They do no
 *   harm: no entry with a valid stamp is older.
 * - The filter holds the newest change of all tags with the same low bits. It is small enough for a processor's cache, and
 *   answers for most tags of an entry that nothing has changed.
 */
export class ChangedTags {
  readonly #tagsMax: number;
  #floorSeq = 0;
  /** The number that version 0 stands for; at most the floor. Version 0 in the table marks an empty cell. */
  #base = 0;
  #logTags = new Uint32Array(LOG_SIZE_MIN);
  #logVersions = new Uint32Array(LOG_SIZE_MIN);
  #first = 0;
  #length = 0;
  /** Two numbers a cell, so that they lie beside each other in memory: a tag's hash, and the version of its change. */
  #table = new Uint32Array(2 * TABLE_SIZE_MIN);
  #filter = new Uint32Array(4 * TABLE_SIZE_MIN);
  #used = 0;

  constructor(tagsMax: number) {
    this.#tagsMax = tagsMax;
  }

  /** Every change with a higher number is known. */
  get floorSeq(): number {
    return this.#floorSeq;
  }

  /** Number of changes that are remembered. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of all arrays. */
  get bytes(): number {
    return this.#logTags.length * 8 + (this.#table.length + this.#filter.length) * 4;
  }

  /**
   * Adds a change. If the memory is full, the oldest sixteenth of it is forgotten.
   *
   * @param seq at least that of the change before. A change up to the floor is left out.
   */
  add(seq: number, tag: number): void {
    if (this.#length >= this.#tagsMax) this.forgetUpTo(this.#base + this.#versionAt(this.#length >>> 4));
    if (seq <= this.#floorSeq) return;
    if (seq - this.#base > VERSION_MAX) this.#rebase(seq);
    if (this.#length === this.#logTags.length) this.#growLog();
    const version = seq - this.#base;
    const at = (this.#first + this.#length) & (this.#logTags.length - 1);
    this.#logTags[at] = tag;
    this.#logVersions[at] = version;
    this.#length += 1;
    this.#set(tag, version);
  }

  /** Makes room for so many more changes at once, where one at a time would build the log and the table several times. */
  reserve(count: number): void {
    if (count < RESERVED_MIN) return;
    const length = Math.min(this.#length + count, this.#tagsMax);
    if (length > this.#logTags.length) this.#growLog(length);
    if (this.#used + count > (this.#table.length / 2) * TABLE_LOAD_MAX) this.#rebuildTable(count);
  }

  /** Raises the floor: changes up to `seq` are forgotten, and entries that were stamped before it are invalid. */
  forgetUpTo(seq: number): void {
    if (seq <= this.#floorSeq) return;
    this.#floorSeq = seq;
    while (this.#length > 0 && this.#base + this.#versionAt(0) <= seq) {
      this.#first = (this.#first + 1) & (this.#logTags.length - 1);
      this.#length -= 1;
    }
  }

  /** Whether one of the tags has changed after `seq`, which is not below the floor. */
  haveChangedSince(tags: readonly number[], seq: number): boolean {
    const filter = this.#filter;
    const filterMask = filter.length - 1;
    const table = this.#table;
    const mask = table.length - 2;
    const version = seq - this.#base;
    for (let index = 0; index < tags.length; index += 1) {
      const tag = (tags[index] ?? 0) >>> 0;
      if ((filter[tag & filterMask] ?? 0) <= version) continue;
      // As `#cellOf`, written out: each hit runs this for each tag of its entry.
      let cell = (tag << 1) & mask;
      let found = table[cell + 1] ?? 0;
      while (found !== 0 && table[cell] !== tag) {
        cell = (cell + 2) & mask;
        found = table[cell + 1] ?? 0;
      }
      if (found > version) return true;
    }
    return false;
  }

  /** The number of the tag's newest change; 0 if it has none after the floor. */
  newestSeqOf(tag: number): number {
    const seq = this.#base + this.#newestOf(tag);
    return seq > this.#floorSeq ? seq : 0;
  }

  /** The newest change of each tag that has changed after `seq`, newest first. */
  *newestFirst(seq: number): Generator<TagChange> {
    for (let index = this.#length - 1; index >= 0; index -= 1) {
      const version = this.#versionAt(index);
      if (this.#base + version <= seq) return;
      const tag = this.#tagAt(index);
      if (this.#newestOf(tag) === version) yield { seq: this.#base + version, tag };
    }
  }

  #tagAt(index: number): number {
    return this.#logTags[(this.#first + index) & (this.#logTags.length - 1)] ?? 0;
  }

  #versionAt(index: number): number {
    return this.#logVersions[(this.#first + index) & (this.#logVersions.length - 1)] ?? 0;
  }

  /** The version of the tag's newest change; 0 if the table has none. */
  #newestOf(tag: number): number {
    return this.#table[this.#cellOf(tag) + 1] ?? 0;
  }

  /** Where the tag is in the table, or the empty cell where it would be. */
  #cellOf(tag: number): number {
    const mask = this.#table.length - 2;
    let cell = (tag << 1) & mask;
    while (this.#table[cell + 1] !== 0 && this.#table[cell] !== tag) cell = (cell + 2) & mask;
    return cell;
  }

  #set(tag: number, version: number): void {
    const cell = this.#cellOf(tag);
    if (this.#table[cell + 1] === 0) {
      if (this.#used + 1 > (this.#table.length / 2) * TABLE_LOAD_MAX) {
        // The log has this change already.
        this.#rebuildTable();
        return;
      }
      this.#used += 1;
      this.#table[cell] = tag;
    }
    this.#table[cell + 1] = version;
    this.#filter[tag & (this.#filter.length - 1)] = version;
  }

  /** Builds the table from the log: changes up to the floor leave it, and at least half of its cells are empty with `more`. */
  #rebuildTable(more = 1): void {
    let distinct = 0;
    for (let cell = 0; cell < this.#table.length; cell += 2)
      if (this.#base + (this.#table[cell + 1] ?? 0) > this.#floorSeq) distinct += 1;
    let size = TABLE_SIZE_MIN;
    while (size < 2 * Math.min(distinct + more, this.#tagsMax + 1)) size *= 2;
    this.#fillTable(size);
  }

  #fillTable(size: number): void {
    if (2 * size === this.#table.length) this.#table.fill(0);
    else this.#table = new Uint32Array(2 * size);
    this.#filter = new Uint32Array(Math.min(4 * size, FILTER_SIZE_MAX));
    this.#used = 0;
    for (let index = 0; index < this.#length; index += 1)
      this.#set(this.#tagAt(index), this.#versionAt(index));
  }

  #growLog(least = this.#logTags.length + 1): void {
    let size = this.#logTags.length;
    while (size < least) size *= 2;
    const tags = new Uint32Array(size);
    const versions = new Uint32Array(tags.length);
    for (let index = 0; index < this.#length; index += 1) {
      tags[index] = this.#tagAt(index);
      versions[index] = this.#versionAt(index);
    }
    this.#logTags = tags;
    this.#logVersions = versions;
    this.#first = 0;
  }

  /** Moves the base up to the floor, so that the version of `seq` fits; forgets what does not fit even then. */
  #rebase(seq: number): void {
    this.forgetUpTo(seq - VERSION_MAX);
    const by = this.#floorSeq - this.#base;
    for (let index = 0; index < this.#length; index += 1) {
      const at = (this.#first + index) & (this.#logVersions.length - 1);
      this.#logVersions[at] = this.#versionAt(index) - by;
    }
    this.#base = this.#floorSeq;
    this.#fillTable(this.#table.length / 2);
  }
}
