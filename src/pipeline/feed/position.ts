/** A position in the feed: after the change with this number, in the log of this epoch. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

const FORMAT = /^([0-9a-f-]{36})\.(\d{1,15})$/;

export function formatPosition({ epoch, seq }: Position): string {
  return `${epoch}.${seq}`;
}

/** Undefined if the text is not a position. */
export function parsePosition(text: string): Position | undefined {
  const [, epoch, seq] = FORMAT.exec(text) ?? [];
  return epoch === undefined || seq === undefined ? undefined : { epoch, seq: Number(seq) };
}

/** The kept part of the log: changes after `floor`, up to `newest`. */
export interface Kept {
  readonly epoch: string;
  readonly floor: number;
  readonly newest: number;
}

/** Why the feed cannot continue after a position. */
export type ResetReason = 'log_was_made_anew' | 'too_old' | 'from_the_future';

export function resetReason({ epoch, seq }: Position, kept: Kept): ResetReason | undefined {
  if (epoch !== kept.epoch) return 'log_was_made_anew';
  if (seq < kept.floor) return 'too_old';
  return seq > kept.newest ? 'from_the_future' : undefined;
}
