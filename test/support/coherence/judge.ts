/**
 * The checker of coherence: judges a recorded history against the promises of docs/coherence.md, read by read and
 * write by write. It uses only what was committed, acknowledged and shown; it has no access to caches or clocks.
 *
 * A thing that is judged is a `dep` with versions 1, 2, 3, … in the order of its commits; a version may stand for
 * its absence. Version 0 is its absence before the first.
 */

/** A moment of one observer, who saw all of the history: `order` decides ties within a millisecond. */
export interface Moment {
  readonly ms: number;
  readonly order: number;
}

export interface WriteRecord {
  readonly dep: string;
  readonly version: number;
  readonly absent: boolean;
  /** The commit was certainly not done before. */
  readonly begun: Moment;
  /** The commit was certainly done by then; undefined if that is not known. */
  readonly committed?: Moment | undefined;
  /** When the writer was told that its invalidation has taken effect, and the token that it was told. */
  readonly acknowledged?: Moment | undefined;
  readonly token?: Token | undefined;
}

export interface Token {
  readonly epoch: string;
  readonly seq: number;
}

export interface ReadRecord {
  readonly dep: string;
  readonly level: 'strong' | 'bounded' | 'eventual';
  /** The token that the request carried. */
  readonly token?: Token | undefined;
  /** The token that the answer carried. */
  readonly tokenOut?: Token | undefined;
  /** Reads of one session carry the token of the answer before, and follow each other. */
  readonly session?: string | undefined;
  readonly begun: Moment;
  readonly ended: Moment;
  /** What the answer showed: a version, or that there is no such thing. */
  readonly shown: number | 'absent';
  /**
   * The answer says of itself that it is stale or unverified: nothing but the past is promised of it. A mark excuses
   * bounded and eventual reads alone: strong and session reads get no answer that breaks their promise.
   */
  readonly marked: boolean;
  readonly boundMs: number;
  /** Beyond `boundMs`, how old a commit may be without having been invalidated; undefined to judge none. */
  readonly sourceBoundMs?: number | undefined;
  /** For the reader of a violation. */
  readonly note?: string;
}

export type Rule =
  | 'strong'
  | 'session'
  | 'monotonic'
  | 'shared-token'
  | 'bounded'
  | 'source-bound'
  | 'from-the-future'
  | 'never-existed';

export interface Violation {
  readonly rule: Rule;
  readonly read: ReadRecord;
  /** The least version that the read was owed, or the greatest that it could know. */
  readonly owed: number;
}

/** All violations of a history; `writes` in the order of their versions for each dep. */
export function judgeHistory(writes: readonly WriteRecord[], reads: readonly ReadRecord[]): Violation[] {
  const histories = new Map<string, History>();
  for (const write of writes) historyOf(histories, write.dep).add(write);
  const violations: Violation[] = [];
  const shownToSession = new Map<string, number>();
  const kept: Kept[] = [];
  for (const read of reads.toSorted((a, b) => a.ended.order - b.ended.order)) {
    const judged = judgeRead(historyOf(histories, read.dep), read, shownToSession);
    if ('rule' in judged) violations.push(judged);
    else kept.push(judged);
  }
  return [...violations, ...judgeTokens(kept)];
}

/** A read that keeps its own promises. */
interface Kept {
  readonly read: ReadRecord;
  /** The greatest version that its answer may have shown. */
  readonly shown: number;
  /** The least version that it has certainly shown. */
  readonly least: number;
}

/**
 * Judges tokens across clients: an answer's token covers everything that the answer showed. So a read with a token
 * owes the greatest version that any unmarked answer with the same or a lesser token has shown, to any client.
 */
function judgeTokens(kept: readonly Kept[]): Violation[] {
  const violations: Violation[] = [];
  for (const ofDep of Map.groupBy(kept, ({ read }) => read.dep).values()) {
    const steps = stepsOf(ofDep);
    for (const { read, shown } of ofDep) {
      if (read.token === undefined) continue;
      const owed = coveredBy(steps.get(read.token.epoch) ?? [], read.token.seq);
      if (shown < owed) violations.push({ rule: 'shared-token', read, owed });
    }
  }
  return violations;
}

/** The greatest version shown with a token up to `seq`: one step for each `seq` at which it rises. */
interface TokenStep {
  readonly seq: number;
  readonly version: number;
}

/** The steps of one dep, by epoch. */
function stepsOf(kept: readonly Kept[]): Map<string, TokenStep[]> {
  const shown = kept.flatMap(({ read: { tokenOut, marked }, least }) =>
    tokenOut === undefined || marked ? [] : [{ ...tokenOut, version: least }],
  );
  const steps = new Map<string, TokenStep[]>();
  for (const { epoch, seq, version } of shown.sort((a, b) => a.seq - b.seq)) {
    const ofEpoch = steps.get(epoch) ?? [];
    steps.set(epoch, ofEpoch);
    if (version > (ofEpoch.at(-1)?.version ?? 0)) ofEpoch.push({ seq, version });
  }
  return steps;
}

function coveredBy(steps: readonly TokenStep[], seq: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((steps[middle]?.seq ?? 0) <= seq) low = middle + 1;
    else high = middle;
  }
  return steps[low - 1]?.version ?? 0;
}

function judgeRead(
  history: History,
  read: ReadRecord,
  shownToSession: Map<string, number>,
): Violation | Kept {
  const begunBy = history.newest(({ begun }) => begun.order < read.ended.order);
  const shown = versionShown(history, read, begunBy);
  if (shown === undefined) return { rule: 'never-existed', read, owed: begunBy };
  if (shown > begunBy) return { rule: 'from-the-future', read, owed: begunBy };
  if (isExcused(read)) return { read, shown, least: 0 };
  let least = 0;
  for (const [rule, owed] of floorsOf(history, read, shownToSession)) {
    if (shown < owed) return { rule, read, owed };
    least = Math.max(least, owed);
  }
  least = read.shown === 'absent' ? history.oldestAbsence(least) : shown;
  if (read.session !== undefined) {
    const key = `${read.session}/${read.dep}`;
    // A level that promises less in between does not take back what has been shown.
    shownToSession.set(key, Math.max(least, shownToSession.get(key) ?? 0));
  }
  return { read, shown, least };
}

function isExcused({ marked, level, token }: ReadRecord): boolean {
  return marked && level !== 'strong' && token === undefined;
}

/**
 * The version that the read showed, or undefined where there was none like that. An absence may be any of the
 * absences that were: the newest is the one most favourable to the cache.
 */
function versionShown(history: History, { shown }: ReadRecord, begunBy: number): number | undefined {
  if (shown === 'absent') return history.newestAbsence(begunBy);
  return history.isAbsence(shown) ? undefined : shown;
}

function floorsOf(
  history: History,
  read: ReadRecord,
  shownToSession: ReadonlyMap<string, number>,
): [Rule, number][] {
  const { level, token, session, begun, boundMs, sourceBoundMs } = read;
  const floors: [Rule, number][] = [];
  if (level === 'strong') {
    const owed = history.newest(
      ({ acknowledged }) => acknowledged !== undefined && acknowledged.order < begun.order,
    );
    floors.push(['strong', owed]);
  }
  if (token !== undefined) {
    const owed = history.newest(
      (write) =>
        write.token !== undefined && write.token.epoch === token.epoch && write.token.seq <= token.seq,
    );
    floors.push(['session', owed]);
    if (session !== undefined) floors.push(['monotonic', shownToSession.get(`${session}/${read.dep}`) ?? 0]);
  }
  const until = begun.ms - boundMs;
  floors.push([
    'bounded',
    history.newest(({ acknowledged }) => acknowledged !== undefined && acknowledged.ms < until),
  ]);
  if (sourceBoundMs !== undefined && token === undefined && level !== 'strong') {
    const owed = history.newest(
      ({ committed }) => committed !== undefined && committed.ms < until - sourceBoundMs,
    );
    floors.push(['source-bound', owed]);
  }
  return floors;
}

function historyOf(histories: Map<string, History>, dep: string): History {
  const known = histories.get(dep) ?? new History();
  histories.set(dep, known);
  return known;
}

/** The versions of one dep. */
class History {
  readonly #writes: WriteRecord[] = [];

  add(write: WriteRecord): void {
    const before = this.#writes.at(-1)?.version ?? 0;
    if (write.version !== before + 1)
      throw new RangeError(`Version ${write.version} of ${write.dep} comes after ${before}.`);
    this.#writes.push(write);
  }

  /** The greatest version that a condition holds for, or 0. */
  newest(holds: (write: WriteRecord) => boolean): number {
    for (let index = this.#writes.length - 1; index >= 0; index -= 1) {
      const write = this.#writes[index];
      if (write !== undefined && holds(write)) return write.version;
    }
    return 0;
  }

  /** The state of a version that no write has written yet. */
  isAbsence(version: number): boolean {
    return version === 0 || this.#writes[version - 1]?.absent === true;
  }

  /** The least version from `least` on that is an absence. */
  oldestAbsence(least: number): number {
    let version = least;
    while (version < this.#writes.length && !this.isAbsence(version)) version += 1;
    return version;
  }

  /** The greatest version up to `most` that is an absence: 0, the one before the first, is always one. */
  newestAbsence(most: number): number {
    for (let version = Math.min(most, this.#writes.length); version > 0; version -= 1) {
      if (this.isAbsence(version)) return version;
    }
    return 0;
  }
}
