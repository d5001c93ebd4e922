import { hash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import type { SendReport } from '../../../src/client/index.ts';
import type { Batch } from './batches.ts';
import { ImportError } from './failure.ts';
import type { SourceFile } from './source.ts';

/** Lines between two pieces of evidence: the import detects a database that lacks any stretch of this length. */
const EVIDENCE_LINES = 5_000;

const Evidence = z.object({ line: z.int().min(1), id: z.string(), time: z.string() });
/** A line that the database held, under the id and the time that it was sent with. */
export type Evidence = Readonly<z.output<typeof Evidence>>;

const State = z.object({
  version: z.literal(2),
  file: z.string(),
  /** Milliseconds added to all times; null unless the import was begun with `--as-if-today`. */
  shiftMs: z.int().nullable(),
  /** Lines from the start of the file that the database holds, as events or in quarantine. */
  acknowledged: z.int().min(0),
  complete: z.boolean(),
  /** Lines that this import stored. */
  stored: z.int().min(0),
  /** Lines that the database held before, or that stand earlier in the file. */
  known: z.int().min(0),
  /** Lines that were stored by this import or known before: the answer to their first request was lost. */
  unclear: z.int().min(0),
  quarantined: z.record(z.string(), z.int().min(0)),
  retries: z.int().min(0),
  /** Time spent over all runs until the last acknowledged line. */
  elapsedMs: z.number().min(0),
  /** The customers with the most lines of a complete import, the busiest first. */
  customers: z.array(z.string()),
  /** What another run asks the database for before it believes this state. In the file's order. */
  evidence: z.array(Evidence),
});

/** How far an import has come, over all its runs. */
export type ImportState = Readonly<z.output<typeof State>>;

const UNNAMED_REASON = 'without_reason';

export function newState(file: string, shiftMs: number | null): ImportState {
  return {
    version: 2,
    file,
    shiftMs,
    acknowledged: 0,
    complete: false,
    stored: 0,
    known: 0,
    unclear: 0,
    quarantined: {},
    retries: 0,
    elapsedMs: 0,
    customers: [],
    evidence: [],
  };
}

/**
 * The state after the database has the next batch in the file's order.
 *
 * @param answer `isRepeated` if an earlier try of the batch may have stored it.
 */
export function acknowledge(
  state: ImportState,
  { events }: Batch,
  { receipt, retries, isRepeated }: { receipt: SendReport; retries: number; isRepeated: boolean },
): ImportState {
  const quarantined = { ...state.quarantined };
  const count = (reason: string, lines: number): void => {
    quarantined[reason] = (quarantined[reason] ?? 0) + lines;
  };
  let named = 0;
  for (const verdict of receipt.verdicts) {
    if (verdict.verdict !== 'quarantined') continue;
    count(verdict.reason, 1);
    named += 1;
  }
  if (receipt.quarantined > named) count(UNNAMED_REASON, receipt.quarantined - named);
  const acknowledged = state.acknowledged + events.length;
  const last = events.at(-1);
  return {
    ...state,
    acknowledged,
    stored: state.stored + receipt.accepted,
    known: state.known + (isRepeated ? 0 : receipt.duplicates),
    unclear: state.unclear + (isRepeated ? receipt.duplicates : 0),
    quarantined,
    retries: state.retries + retries,
    evidence:
      last === undefined
        ? state.evidence
        : withNewest(state.evidence, { line: acknowledged, id: last.id, time: last.time }),
  };
}

/** Keeps the newest evidence, and older evidence in distances of {@link EVIDENCE_LINES}. */
function withNewest(evidence: readonly Evidence[], newest: Evidence): Evidence[] {
  const [before, last] = [evidence.at(-2), evidence.at(-1)];
  const isTooNear = last !== undefined && last.line - (before?.line ?? 0) < EVIDENCE_LINES;
  return [...(isTooNear ? evidence.slice(0, -1) : evidence), newest];
}

/** Keeps one import's state in a file of its own. Its evidence shows which database it belongs to. */
export class StateFile {
  readonly path: string;

  constructor(directory: string, source: SourceFile) {
    const identity = [hash('sha256', source.head, 'hex'), source.sizeBytes, resolve(source.path)];
    this.path = join(directory, `${hash('sha256', JSON.stringify(identity), 'hex').slice(0, 32)}.json`);
  }

  async load(): Promise<ImportState | null> {
    const text = await readFile(this.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw new ImportError(`The state in ${this.path} cannot be read: ${error.code ?? error.message}`);
    });
    if (text === null) return null;
    try {
      return State.parse(JSON.parse(text));
    } catch (error) {
      throw new ImportError(`The state in ${this.path} is damaged; --restart sends all lines again.`, {
        cause: error,
      });
    }
  }

  /** Replaces the file in one step, so that a crash leaves the state before or the state after. */
  async save(state: ImportState): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true });
    const draft = `${this.path}.${process.pid}.tmp`;
    await writeFile(draft, `${JSON.stringify(state)}\n`);
    await rename(draft, this.path);
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}
