/**
 * A checker of the histories that `npm run verify:coherence -- --history FILE` writes. It is made from docs/history.md
 * alone: it shares no code with the program that writes them, nor with the judge of that program.
 *
 * Each key is a register whose versions rise: 1, 2, 3, … A write puts its version; a late write of a lesser version
 * does nothing. Linearizability is Herlihy and Wing's ("Linearizability: A Correctness Condition for Concurrent
 * Objects", TOPLAS 12(3), 1990); Δ-atomicity is that of the history in which each read begins Δ earlier (Golab, Li and
 * Shah, "Analyzing Consistency Properties for Fun and Profit", PODC 2011).
 */

interface Moment {
  readonly ms: number;
  readonly order: number;
}

interface RunLine {
  readonly type: 'run';
  readonly format: string;
  readonly boundMs: number;
  readonly sourceBoundMs: number;
}

export interface ReadLine {
  readonly type: 'read';
  readonly process: string;
  readonly session: string | null;
  readonly level: 'strong' | 'session' | 'bounded' | 'eventual';
  readonly tokenIn: string | null;
  readonly tokenOut: string | null;
  readonly start: Moment;
  readonly end: Moment;
  readonly status: number | null;
  readonly marked: boolean;
  readonly shows: readonly { readonly key: string; readonly version: number | null }[];
}

export interface WriteLine {
  readonly type: 'write';
  readonly by: 'api' | 'sql' | 'event';
  readonly key: string;
  readonly version: number;
  readonly absent: boolean;
  readonly begin: Moment;
  readonly committedBy: Moment | null;
  readonly acknowledged: Moment | null;
  readonly token: string | null;
}

export interface HistoryLines {
  readonly run: RunLine;
  readonly reads: readonly ReadLine[];
  readonly writes: readonly WriteLine[];
}

/** @throws Error for a text that is no whole history. */
export function readHistory(text: string): HistoryLines {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly type: string });
  const [run] = lines;
  const last = lines.at(-1) as { readonly type: string; readonly lines?: number } | undefined;
  if (run?.type !== 'run' || !('format' in run) || run.format !== 'millrace-history/1')
    throw new Error(
      'The history does not begin with a line of the type "run" and the format millrace-history/1.',
    );
  if (last?.type !== 'end' || last.lines !== lines.length - 1)
    throw new Error(
      'The history is cut off: its last line has to be of the type "end" and count the others.',
    );
  return {
    run: run as RunLine,
    reads: lines.filter((line): line is ReadLine => line.type === 'read'),
    writes: lines.filter((line): line is WriteLine => line.type === 'write'),
  };
}

/** What a check found: the keys, or the reads, that break the promise. */
export interface Finding {
  readonly check:
    | 'linearizable'
    | 'delta-atomic'
    | 'source-bound'
    | 'read-your-writes'
    | 'monotonic'
    | 'tokens';
  readonly what: string;
}

/** All checks over a whole history. */
export function checkHistory({ run, reads, writes }: HistoryLines): { findings: Finding[]; judged: number } {
  const answered = reads.filter(({ status }) => status === 200 || status === 404);
  const promised = answered.filter(
    ({ level, marked }) => !marked || level === 'strong' || level === 'session',
  );
  const strong = promised.filter(({ level }) => level === 'strong');
  const bounded = promised.filter(({ level, tokenIn }) => level !== 'strong' && tokenIn === null);
  const sourceMs = run.boundMs + run.sourceBoundMs;
  const findings = [
    ...ofKeys('linearizable', strong, writes, { earlierMs: 0, endOf: (write) => write.acknowledged }),
    ...ofKeys('delta-atomic', bounded, writes, {
      earlierMs: run.boundMs,
      endOf: (write) => write.acknowledged,
    }),
    ...ofKeys('source-bound', bounded, writes, { earlierMs: sourceMs, endOf: (write) => write.committedBy }),
    ...sessions(promised, writes),
    ...tokens(promised, writes),
  ];
  return { findings, judged: promised.length };
}

/** An operation on one register: it takes effect at one moment between its two. `to` is infinite if the end is not known. */
interface Operation {
  readonly from: Moment;
  readonly to: Moment;
  readonly write: number | undefined;
  readonly read: number | null | undefined;
}

const NEVER: Moment = { ms: Number.POSITIVE_INFINITY, order: Number.POSITIVE_INFINITY };

function ofKeys(
  check: Finding['check'],
  reads: readonly ReadLine[],
  writes: readonly WriteLine[],
  how: { readonly earlierMs: number; readonly endOf: (write: WriteLine) => Moment | null },
): Finding[] {
  const readsOf = new Map<string, Operation[]>();
  for (const { shows, start, end } of reads) {
    const from = { ms: start.ms - how.earlierMs, order: start.order };
    for (const { key, version } of shows) {
      const all = readsOf.get(key) ?? [];
      readsOf.set(key, all);
      all.push({ from, to: end, write: undefined, read: version });
    }
  }
  const writesOf = Map.groupBy(writes, ({ key }) => key);
  return [...readsOf].flatMap(([key, ofKey]) => {
    const own = writesOf.get(key) ?? [];
    const made = own.map((write) => {
      return { from: write.begin, to: how.endOf(write) ?? NEVER, write: write.version, read: undefined };
    });
    const absent = new Set([0, ...own.filter((write) => write.absent).map(({ version }) => version)]);
    const wrong = firstImpossible([...made, ...ofKey], absent);
    if (wrong === undefined) return [];
    const shown = wrong.read === undefined ? `write of ${wrong.write}` : `read of ${wrong.read ?? 'absent'}`;
    return [{ check, what: `${key}: no order explains the ${shown} that ended at ${wrong.to.ms} ms` }];
  });
}

/**
 * Looks for an order of the operations on one register; returns the first one that has no place in any. Versions only
 * rise, so the search needs no way back: a read that the register's version explains is done at once, and the version
 * rises no sooner and no further than an operation that ends now demands, through all versions in between.
 */
export function firstImpossible(
  operations: readonly Operation[],
  absent: ReadonlySet<number>,
): Operation | undefined {
  const before = (a: Moment, b: Moment) => a.ms - b.ms || a.order - b.order;
  const events = operations
    .flatMap((operation) => [
      { at: operation.from, operation, begins: true },
      ...(operation.to === NEVER ? [] : [{ at: operation.to, operation, begins: false }]),
    ])
    .sort((a, b) => before(a.at, b.at) || Number(b.begins) - Number(a.begins));
  const isAbsent = (version: number) => absent.has(version);
  const explains = (version: number, read: number | null) =>
    read === null ? isAbsent(version) : read === version && !isAbsent(version);
  let version = 0;
  const waiting = new Set<Operation>();
  const begun = new Set<number>();
  const doReads = () => {
    for (const operation of waiting) {
      if (operation.read !== undefined && explains(version, operation.read)) waiting.delete(operation);
    }
  };
  const riseTo = (target: number) => {
    for (const next of [...begun].sort((a, b) => a - b)) {
      if (next <= version || next > target) continue;
      version = next;
      doReads();
    }
  };
  for (const { operation, begins } of events) {
    if (begins) {
      waiting.add(operation);
      if (operation.write !== undefined) begun.add(operation.write);
      else doReads();
      continue;
    }
    if (operation.write !== undefined) {
      riseTo(operation.write);
      waiting.delete(operation);
      continue;
    }
    if (!waiting.has(operation)) continue;
    const target = [...begun].filter((next) => next > version && explains(next, operation.read ?? null));
    if (target.length === 0) return operation;
    riseTo(Math.min(...target));
  }
  return undefined;
}

interface Token {
  readonly epoch: string;
  readonly seq: number;
}

function tokenOf(text: string): Token {
  const dot = text.lastIndexOf('.');
  return { epoch: text.slice(0, dot), seq: Number(text.slice(dot + 1)) };
}

const isCovered = (by: Token, other: Token) => by.epoch === other.epoch && other.seq <= by.seq;

/** Whether an answer may be of a version that is at least `owed`. An absence may be any that was written by then. */
function reaches(
  shown: number | null,
  owed: number,
  { end }: ReadLine,
  writes: readonly WriteLine[],
): boolean {
  if (shown !== null) return shown >= owed;
  return (
    owed === 0 ||
    writes.some(({ version, absent, begin }) => absent && version >= owed && begin.order < end.order)
  );
}

/** Read your writes: a token covers the writes that were acknowledged with it or a lesser one. Monotonic reads. */
function sessions(reads: readonly ReadLine[], writes: readonly WriteLine[]): Finding[] {
  const writesOf = Map.groupBy(writes, ({ key }) => key);
  const seen = new Map<string, number>();
  const findings: Finding[] = [];
  for (const read of reads.toSorted((a, b) => a.start.order - b.start.order)) {
    for (const { key, version } of read.shows) {
      const own = writesOf.get(key) ?? [];
      const where = `${key}: a read at ${read.start.ms} ms showed ${version ?? 'absent'}`;
      if (read.tokenIn !== null) {
        const token = tokenOf(read.tokenIn);
        const owed = own
          .filter((write) => write.token !== null && isCovered(token, tokenOf(write.token)))
          .reduce((most, write) => Math.max(most, write.version), 0);
        if (!reaches(version, owed, read, own))
          findings.push({ check: 'read-your-writes', what: `${where} and its token covers version ${owed}` });
      }
      if (read.session === null) continue;
      const name = `${read.session} ${key}`;
      const last = seen.get(name) ?? 0;
      if (read.tokenIn !== null && !reaches(version, last, read, own))
        findings.push({ check: 'monotonic', what: `${where} and its session had seen version ${last}` });
      // Which absence was seen is not known, so an absence obliges later reads to nothing more.
      if (read.tokenOut !== null) seen.set(name, Math.max(last, version ?? 0));
    }
  }
  return findings;
}

/** A token covers what any unmarked answer has shown with it, or with a lesser one, to any client. */
function tokens(reads: readonly ReadLine[], writes: readonly WriteLine[]): Finding[] {
  const writesOf = Map.groupBy(writes, ({ key }) => key);
  const shownOf = new Map<string, { readonly token: Token; readonly version: number }[]>();
  for (const { tokenOut, shows, marked } of reads) {
    if (tokenOut === null || marked) continue;
    const token = tokenOf(tokenOut);
    for (const { key, version } of shows) {
      if (version === null) continue;
      const all = shownOf.get(key) ?? [];
      shownOf.set(key, all);
      if (version > (all.at(-1)?.version ?? 0) || token.seq < (all.at(-1)?.token.seq ?? 0))
        all.push({ token, version });
    }
  }
  return reads.flatMap((read) => {
    if (read.tokenIn === null) return [];
    const token = tokenOf(read.tokenIn);
    return read.shows.flatMap(({ key, version }): Finding[] => {
      const covered = (shownOf.get(key) ?? []).filter((shown) => isCovered(token, shown.token));
      const owed = covered.reduce((most, shown) => Math.max(most, shown.version), 0);
      if (reaches(version, owed, read, writesOf.get(key) ?? [])) return [];
      const what = `${key}: a read at ${read.start.ms} ms showed ${version ?? 'absent'}; version ${owed} had been shown under its token`;
      return [{ check: 'tokens', what }];
    });
  });
}
