import { PLAIN_WORDS } from './plain-words.ts';

/** The most characters of a message that are read, and that are kept. */
const READ_MAX = 2_000;
const KEPT_MAX = 300;
/** The most frames of a stack, and the most characters of one. */
const FRAMES_MAX = 20;
const FRAME_MAX = 200;
const NAME = /^[A-Za-z]\w{0,63}$/;
const CODE = /^\w{1,64}$/;
/** A frame of V8: it ends with a line and a column. */
const FRAME = /^\s+at [^\s].*:\d+:\d+\)?$/;
/** What stands for words and numbers that are left out. */
const LEFT_OUT = '…';

/**
 * A message without what somebody may have sent: it keeps the words of `PLAIN_WORDS` and plain punctuation. Each other run
 * of words, numbers and signs is one `…`. So `duplicate key value violates unique constraint "customers_email_key"` becomes
 * `duplicate key value violates unique constraint "…"`.
 */
export function redacted(message: string): string {
  const pieces = message.slice(0, READ_MAX).match(/[\p{L}\p{M}\p{N}_$@.+\-/\\]+|\s+|[^\s]/gu) ?? [];
  let text = '';
  for (const piece of pieces) {
    const kept = keptOf(piece);
    // Between two that are left out, nothing is kept either: their number may tell something.
    if (kept === LEFT_OUT && /…[\s"'`(),:;…]*$/.test(text)) text = text.replace(/…[\s"'`(),:;…]*$/, LEFT_OUT);
    else text += kept;
    if (text.length > KEPT_MAX) return `${text.slice(0, KEPT_MAX)}${LEFT_OUT}`;
  }
  return text.trim();
}

function keptOf(piece: string): string {
  if (/^\s+$/.test(piece)) return ' ';
  if (/^[.,:;()'"`]$/.test(piece)) return piece;
  const [, word = '', end = ''] = /^([A-Za-z][a-z0-9]*|[A-Z]+)([.]*)$/.exec(piece) ?? [];
  return PLAIN_WORDS.has(word.toLowerCase()) ? word + end.slice(0, 1) : LEFT_OUT;
}

/** The fields of the Elastic Common Schema that describe an error. */
export interface ErrorFields {
  readonly 'error.type'?: string;
  readonly 'error.code'?: string;
  readonly 'error.message': string;
  readonly 'error.stack_trace'?: string;
  /** The types and messages of its causes, outermost first. */
  readonly 'millrace.causes'?: string;
}

/** The most causes that are told. */
const CAUSES_MAX = 4;

/** What a log may say of an error: its type, its code, its message without values, and where it was thrown. */
export function errorFields(error: unknown): ErrorFields {
  if (!(error instanceof Error)) return { 'error.message': redacted(String(error)) };
  const causes: string[] = [];
  for (let at = error.cause; at instanceof Error && causes.length < CAUSES_MAX; at = at.cause)
    causes.push(`${typeOf(at)}: ${redacted(at.message)}`);
  const code = codeOf(error);
  const frames = framesOf(error);
  return {
    'error.type': typeOf(error),
    ...(code === undefined ? {} : { 'error.code': code }),
    'error.message': redacted(error.message),
    ...(frames === '' ? {} : { 'error.stack_trace': frames }),
    ...(causes.length === 0 ? {} : { 'millrace.causes': causes.join(' ← ') }),
  };
}

/** The innermost cause of an error as one line, for a report: its type and its message without values. */
export function redactedReason(error: unknown): string {
  let root = error;
  for (let depth = 0; root instanceof Error && root.cause instanceof Error && depth <= CAUSES_MAX; depth += 1)
    root = root.cause;
  if (!(root instanceof Error)) return redacted(String(root));
  const code = codeOf(root);
  return `${typeOf(root)}${code === undefined ? '' : ` (${code})`}: ${redacted(root.message)}`;
}

function typeOf(error: Error): string {
  return NAME.test(error.name) ? error.name : 'Error';
}

/** The code of an error or of the cause that has one, such as a SQLSTATE. */
function codeOf(error: Error): string | undefined {
  for (
    let at: unknown = error, depth = 0;
    at instanceof Error && depth <= CAUSES_MAX;
    at = at.cause, depth += 1
  ) {
    const code: unknown = Reflect.get(at, 'code');
    if (typeof code === 'string' && CODE.test(code)) return code;
  }
  return undefined;
}

/** The frames of a stack. Its head repeats the message, which may contain lines that look like frames. */
function framesOf({ stack, message }: Error): string {
  if (stack === undefined) return '';
  const at = message === '' ? 0 : stack.indexOf(message);
  // The message was replaced after the stack was made: where the old one ends is not known.
  if (at === -1) return '';
  return stack
    .slice(at + message.length)
    .split('\n')
    .filter((line) => FRAME.test(line))
    .slice(0, FRAMES_MAX)
    .map((line) => line.slice(0, FRAME_MAX))
    .join('\n');
}
