import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { cacheKey } from '../cache/cache-key.ts';
import { answerCursors, cursorsIn, SIGNATURE_CHARACTERS } from '../define/list-cursor.ts';
import { type Principal, principalKey } from '../define/principal.ts';
import type { Loaded, ViewDefinition, ViewRequest } from '../define/view.ts';
import { equalInConstantTime } from '../platform/digest.ts';
import { Failure } from '../platform/failure.ts';
import { base64Url } from '../platform/random-bytes.ts';
import { ownDimensionsOf } from './partition.ts';

/**
 * Signatures of cursors. A client sends back a cursor as `place.signature`, where `place` is the cursor that the view
 * returned. The signature is HMAC-SHA-256, cut to 128 bits (RFC 2104 §5), of what the cursor belongs to: the view, the
 * parameters of the request except the size of the page, and the reader, if the answer belongs to one.
 *
 * A fill signs, so a cached page contains the signature. The cache key has the place alone.
 */

/** The parameter for the number of rows of a page. A reader may change it from page to page. */
const PAGE_SIZE = 'limit';
/** 128 bits. */
const SIGNATURE_BYTES = 16;

const SIGNED = new RegExp(`^([A-Za-z0-9_-]+)\\.([A-Za-z0-9_-]{${SIGNATURE_CHARACTERS}})$`);

/** Whose answer a cursor is of, and for which parameters. */
type Reading = Pick<ViewRequest, 'input' | 'principal' | 'owner'>;

/** A cursor that a request contains. */
interface SentCursor {
  /** The name of the parameter. */
  readonly name: string;
  readonly place: string;
  readonly signature: string;
}

/** The cursors of a request. It is kept with the address, so that a warm hit does not verify them again. */
export interface SentCursors {
  readonly sent: readonly SentCursor[];
  /** What they belong to, if they were found valid for it; undefined before that. */
  verified?: Reading;
}

/**
 * The key of a deployment's signatures. It follows from the secret `API_KEY_SHA256` and from what names the deployment in
 * shared caches. So a cached page and the cursor in it become invalid together.
 */
export function cursorKey(config: {
  readonly deployment: string;
  readonly apiKeySha256: string;
}): Uint8Array {
  const { deployment, apiKeySha256 } = config;
  return sha256(utf8ToBytes(JSON.stringify(['millrace cursor 1', deployment, apiKeySha256])));
}

/** Signs the cursors of an answer as it comes from the origin. */
export function signCursors(key: Uint8Array, view: ViewDefinition, request: Reading, loaded: Loaded): Loaded {
  const { answer } = cursorsOf(view);
  if (answer.length === 0 || loaded.value === null) return loaded;
  const belongs = belongingOf(view, request);
  const value = Object(loaded.value) as Readonly<Record<string, unknown>>;
  const signed = answer.flatMap((name) => {
    const place = value[name];
    return typeof place === 'string' ? [[name, `${place}.${signatureOf(key, belongs, place)}`]] : [];
  });
  return { ...loaded, value: { ...value, ...Object.fromEntries(signed) } };
}

/**
 * @param sent is changed: it remembers the request for which it was verified last.
 * @throws Failure `invalid_cursor`
 */
export function verifyCursors(
  key: Uint8Array,
  view: ViewDefinition,
  request: Reading,
  sent: SentCursors,
): void {
  if (sent.verified !== undefined && isSameReading(sent.verified, request)) return;
  const belongs = belongingOf(view, request);
  for (const { name, place, signature } of sent.sent)
    if (!equalInConstantTime(signature, signatureOf(key, belongs, place))) throw refused(name);
  sent.verified = request;
}

/**
 * Removes the signatures from the cursors of a query.
 *
 * @param query with the parameters as texts.
 * @param names of the parameters that are cursors.
 * @throws Failure `invalid_cursor` for a cursor without a signature.
 */
export function withoutSignatures(
  query: Readonly<Record<string, string>>,
  names: readonly string[],
): { readonly query: Readonly<Record<string, string>>; readonly cursors: SentCursors | undefined } {
  const sent = names.flatMap((name): SentCursor[] => {
    const text = Object.hasOwn(query, name) ? query[name] : undefined;
    if (text === undefined) return [];
    const [, place, signature] = SIGNED.exec(text) ?? [];
    if (place === undefined || signature === undefined) throw refused(name);
    return [{ name, place, signature }];
  });
  if (sent.length === 0) return { query, cursors: undefined };
  const places = sent.map(({ name, place }) => [name, place]);
  return { query: { ...query, ...Object.fromEntries(places) }, cursors: { sent } };
}

/**
 * The place of a cursor in an address that an operator names. It selects an entry of the cache and returns no rows, so
 * its signature is not needed and not verified.
 */
export function placeOf(text: string): string {
  return SIGNED.exec(text)?.[1] ?? text;
}

/** The names of a query's parameters that are cursors. */
export function queryCursors(query: ViewDefinition['query']): readonly string[] {
  const made = inQueries.get(query);
  if (made !== undefined) return made;
  const names = cursorsIn(query, 'input');
  inQueries.set(query, names);
  return names;
}

const inQueries = new WeakMap<ViewDefinition['query'], readonly string[]>();

/** One failure for whatever is wrong with a cursor: the remedy is always the same. */
export function refused(name: string, pointerPrefix = ''): Failure {
  return new Failure(
    'invalid_cursor',
    `The cursor "${name}" is damaged, belongs to another list, other parameters or another reader, or was made before the secret of this deployment changed. Start over from the first page, without "${name}".`,
    { pointer: pointerPrefix + name },
  );
}

interface ViewCursors {
  readonly query: readonly string[];
  readonly answer: readonly string[];
  readonly own: ReturnType<typeof ownDimensionsOf>;
}

const inViews = new WeakMap<ViewDefinition, ViewCursors>();

function cursorsOf(view: ViewDefinition): ViewCursors {
  const made = inViews.get(view);
  if (made !== undefined) return made;
  const query = queryCursors(view.query);
  const cursors = {
    query,
    answer: query.length === 0 ? [] : answerCursors(view.response),
    // The grain is no part of it: a page may be read in another grain than the page before.
    own: ownDimensionsOf({ rows: view.rows, grainMs: undefined }),
  };
  inViews.set(view, cursors);
  return cursors;
}

/** The input is that of one address, which is kept with its cursors. */
function isSameReading(one: Reading, other: Reading): boolean {
  return (
    one.input === other.input &&
    one.owner === other.owner &&
    textOf(one.principal) === textOf(other.principal)
  );
}

/** What a cursor belongs to, as a canonical text. Different views, parameters or readers have different texts. */
function belongingOf(view: ViewDefinition, { input, principal, owner }: Reading): string {
  const { query, own } = cursorsOf(view);
  const parameters = Object.entries(Object(input)).filter(
    ([name]) => name !== PAGE_SIZE && !query.includes(name),
  );
  const reader = own(textOf(principal), owner);
  return cacheKey(view.name, Object.fromEntries(parameters), reader ?? {});
}

function textOf(principal: Principal | undefined): string | undefined {
  return principal === undefined ? undefined : principalKey(principal);
}

/** A place has no line break, so the two texts cannot be cut at another position. */
function signatureOf(key: Uint8Array, belongs: string, place: string): string {
  const mac = hmac(sha256, key, utf8ToBytes(`${belongs}\n${place}`));
  return base64Url(mac.subarray(0, SIGNATURE_BYTES));
}
