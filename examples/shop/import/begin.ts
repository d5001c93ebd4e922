import type { Reporter } from '../../../scripts/progress.ts';
import { IMPORT_SOURCE, LineIdentity, toCloudEvent } from './event.ts';
import { ImportError } from './failure.ts';
import type { InvoiceLine } from './line.ts';
import { answerOf, type HeldEvent, type Server } from './server.ts';
import { latestTime, readSource, type SourceFile, untilAborted } from './source.ts';
import { type Evidence, type ImportState, newState } from './state.ts';

const MILLISECONDS_PER_DAY = 86_400_000;
const MILLISECONDS_PER_MINUTE = 60_000;
/** Questions about evidence that are under way at once. */
const QUESTIONS_AT_ONCE = 8;
/** Lines at the start of a file that are looked up: some are in quarantine, which does not show when they happened. */
const FIRST_LINES = 8;

export interface BeginOptions {
  readonly asIfToday: boolean;
}

export interface BeginDeps {
  readonly now: () => number;
  readonly reporter: Reporter;
}

/**
 * Where an import begins: at the recorded state if the database holds what the state says, else at the first line.
 *
 * @returns null if the signal was aborted.
 * @throws ImportError if the times would have to be moved and the database holds the lines at other times.
 */
export async function beginAt(
  file: SourceFile,
  recorded: ImportState | null,
  { asIfToday }: BeginOptions,
  server: Server,
  { now, reporter }: BeginDeps,
  signal: AbortSignal,
): Promise<ImportState | null> {
  if (recorded !== null) {
    const missing = await missingEvidence(recorded.evidence, server);
    if (signal.aborted) return null;
    if (missing === null) {
      if (asIfToday && recorded.shiftMs === null) throw notMoved(recorded.acknowledged);
      return recorded;
    }
    reporter.notice(
      `This database does not hold line ${missing.line}, which an earlier import of this file had stored: it is another database, or one that was emptied. The import begins at the first line.`,
    );
  }
  const inDatabase = await shiftInDatabase(file, server, signal);
  if (signal.aborted) return null;
  if (inDatabase === 0 && asIfToday) throw notMoved(null);
  if (inDatabase === 0 || (inDatabase === null && !asIfToday)) return newState(file.path, null);
  reporter.notice('Looking for the last date in the file.');
  const latest = await latestTime(untilAborted(readSource(file), signal));
  if (signal.aborted) return null;
  if (latest === null) throw new ImportError('No line of the file has a date.');
  if (inDatabase === null) return newState(file.path, shiftToToday(latest, now()));
  if (latest + inDatabase > now()) throw inTheFuture(inDatabase, latest);
  reporter.notice(
    `The database holds the first lines of this file, with times moved by ${days(inDatabase)}. The other lines are moved by the same time.`,
  );
  return newState(file.path, inDatabase);
}

/** How many milliseconds move the latest line to today. */
export function shiftToToday(latest: number, now: number): number {
  const wholeDays = Math.floor(now / MILLISECONDS_PER_DAY) - Math.floor(latest / MILLISECONDS_PER_DAY);
  const shiftMs = wholeDays * MILLISECONDS_PER_DAY;
  // Whole days keep the hours of the shop. A last line that is later in the day than it is now would lie in the
  // future, which the server does not take: it is moved to the present minute instead.
  if (latest + shiftMs <= now) return shiftMs;
  return Math.floor(now / MILLISECONDS_PER_MINUTE) * MILLISECONDS_PER_MINUTE - latest;
}

/** The first evidence that the database lacks, or holds at another time; null if it has all of it. */
async function missingEvidence(evidence: readonly Evidence[], server: Server): Promise<Evidence | null> {
  // From the end: a database that was emptied or set back to an earlier moment lacks the newest lines.
  const open = evidence.toReversed();
  for (let from = 0; from < open.length; from += QUESTIONS_AT_ONCE) {
    const asked = open.slice(from, from + QUESTIONS_AT_ONCE);
    const answers = await Promise.all(asked.map(({ id }) => server.find(IMPORT_SOURCE, id)));
    for (const [index, answer] of answers.entries()) {
      const held = answerOf(answer);
      const expected = asked[index];
      if (expected !== undefined && (held === null || !isAt(held, expected.time))) return expected;
    }
  }
  return null;
}

/** Milliseconds by which the database holds the file's first lines moved; null if it holds none of them. */
async function shiftInDatabase(
  file: SourceFile,
  server: Server,
  signal: AbortSignal,
): Promise<number | null> {
  const identity = new LineIdentity();
  for (const line of await firstLinesOf(file, signal)) {
    const { id } = toCloudEvent(line, { source: IMPORT_SOURCE, id: identity.idOf(line) });
    const held = answerOf(await server.find(IMPORT_SOURCE, id));
    if (held?.time !== undefined && typeof line.occurredAt === 'number')
      return Date.parse(held.time) - line.occurredAt;
  }
  return null;
}

async function firstLinesOf(file: SourceFile, signal: AbortSignal): Promise<readonly InvoiceLine[]> {
  for await (const { lines } of untilAborted(readSource(file), signal)) return lines.slice(0, FIRST_LINES);
  return [];
}

function isAt({ time }: HeldEvent, expected: string): boolean {
  return time === undefined || Date.parse(time) === Date.parse(expected);
}

function notMoved(lines: number | null): ImportError {
  const held = lines === null ? 'lines' : `${lines.toLocaleString('en-US')} lines`;
  return new ImportError(
    `--as-if-today is refused: the database holds ${held} of this file at the file's own times, and a stored event does not change. Import into an empty shop (npm run dev -- --fresh --empty), or leave --as-if-today out.`,
  );
}

function inTheFuture(shiftMs: number, latest: number): ImportError {
  return new ImportError(
    `The database holds the first lines of this file with times moved by ${days(shiftMs)}. Moved by the same time, its last line would happen on ${new Date(latest + shiftMs).toISOString().slice(0, 10)}, which is in the future. Import into an empty shop (npm run dev -- --fresh --empty).`,
  );
}

function days(ms: number): string {
  return `${(ms / MILLISECONDS_PER_DAY).toFixed(2)} days`;
}
