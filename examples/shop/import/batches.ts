import { type LineEvent, type LineIdentity, toCloudEvent } from './event.ts';
import type { SourceChunk } from './source.ts';

/** Bytes of one request's body: what the endpoint takes. */
export const BATCH_BYTES_MAX = 1_000_000;

export interface Batch {
  readonly events: readonly LineEvent[];
  /** Bytes of the file read when the batch was cut. */
  readonly bytesRead: number;
}

export interface BatchOptions {
  readonly source: string;
  readonly shiftMs: number;
  readonly identity: LineIdentity;
  /** Lines at the start of the file that were acknowledged before. They are read, for the ids depend on them. */
  readonly skip: number;
  readonly linesMax: number;
  readonly bytesMax: number;
}

/** Cuts lines into batches of at most `linesMax` lines and `bytesMax` bytes; a single larger line goes alone. */
export async function* cutBatches(
  chunks: AsyncIterable<SourceChunk>,
  { source, shiftMs, identity, skip, linesMax, bytesMax }: BatchOptions,
): AsyncGenerator<Batch> {
  let section = 0;
  let position = 0;
  let events: LineEvent[] = [];
  // Brackets, and a comma for every event.
  let bytes = 2;
  let bytesRead = 0;
  const take = (): Batch => {
    const batch = { events, bytesRead };
    events = [];
    bytes = 2;
    return batch;
  };
  for await (const chunk of chunks) {
    if (chunk.section !== section) identity.startSection();
    section = chunk.section;
    bytesRead = chunk.bytesRead;
    for (const line of chunk.lines) {
      const id = identity.idOf(line);
      position += 1;
      if (position <= skip) continue;
      const event = toCloudEvent(line, { source, id, shiftMs });
      const eventBytes = Buffer.byteLength(JSON.stringify(event)) + 1;
      if (events.length > 0 && bytes + eventBytes > bytesMax) yield take();
      events.push(event);
      bytes += eventBytes;
      if (events.length === linesMax) yield take();
    }
  }
  if (events.length > 0) yield take();
}

/** The first lines of a source; `cut.atLimit` tells afterwards whether there may be more. */
export async function* firstLines(
  chunks: AsyncIterable<SourceChunk>,
  limit: number,
  cut: { atLimit: boolean },
): AsyncGenerator<SourceChunk> {
  let left = limit;
  for await (const chunk of chunks) {
    if (chunk.lines.length > left) {
      cut.atLimit = true;
      if (left > 0) yield { ...chunk, lines: chunk.lines.slice(0, left) };
      return;
    }
    left -= chunk.lines.length;
    yield chunk;
  }
}
