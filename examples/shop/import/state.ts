import { hash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import { ImportError } from './failure.ts';
import type { Receipt } from './sender.ts';
import type { SourceFile } from './source.ts';

const State = z.object({
  version: z.literal(1),
  file: z.string(),
  url: z.string(),
  /** Milliseconds added to all times; null unless the import was begun with `--as-if-today`. */
  shiftMs: z.int().nullable(),
  /** Lines from the start of the file that the server has answered for. */
  acknowledged: z.int().min(0),
  complete: z.boolean(),
  accepted: z.int().min(0),
  duplicates: z.int().min(0),
  quarantined: z.record(z.string(), z.int().min(0)),
  retries: z.int().min(0),
  /** Time spent over all runs. */
  elapsedMs: z.number().min(0),
});

/** How far an import has come, over all its runs. */
export type ImportState = Readonly<z.output<typeof State>>;

const UNNAMED_REASON = 'without_reason';

export function newState(file: string, url: string, shiftMs: number | null): ImportState {
  return {
    version: 1,
    file,
    url,
    shiftMs,
    acknowledged: 0,
    complete: false,
    accepted: 0,
    duplicates: 0,
    quarantined: {},
    retries: 0,
    elapsedMs: 0,
  };
}

/** The state after the next batch in the file's order was acknowledged. */
export function acknowledge(
  state: ImportState,
  lines: number,
  receipt: Receipt,
  retries: number,
): ImportState {
  const quarantined = { ...state.quarantined };
  const count = (reason: string, lines: number): void => {
    quarantined[reason] = (quarantined[reason] ?? 0) + lines;
  };
  let named = 0;
  for (const { verdict, reason } of receipt.verdicts) {
    if (verdict !== 'quarantined') continue;
    count(reason ?? UNNAMED_REASON, 1);
    named += 1;
  }
  if (receipt.quarantined > named) count(UNNAMED_REASON, receipt.quarantined - named);
  return {
    ...state,
    acknowledged: state.acknowledged + lines,
    accepted: state.accepted + receipt.accepted,
    duplicates: state.duplicates + receipt.duplicates,
    quarantined,
    retries: state.retries + retries,
  };
}

/** Keeps one import's state in a file of its own: one per file and server. */
export class StateFile {
  readonly path: string;

  constructor(directory: string, source: SourceFile, url: string) {
    const identity = [hash('sha256', source.head, 'hex'), source.sizeBytes, resolve(source.path), url];
    this.path = join(directory, `${hash('sha256', JSON.stringify(identity), 'hex').slice(0, 32)}.json`);
  }

  async load(): Promise<ImportState | null> {
    const text = await readFile(this.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (text === null) return null;
    try {
      return State.parse(JSON.parse(text));
    } catch (error) {
      throw new ImportError(`The state in ${this.path} is damaged; --restart begins anew.`, { cause: error });
    }
  }

  /** Replaces the file in one step, so that a crash leaves the state before or the state after. */
  async save(state: ImportState): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true });
    const draft = `${this.path}.${process.pid}.tmp`;
    await writeFile(draft, `${JSON.stringify(state, null, 2)}\n`);
    await rename(draft, this.path);
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}
