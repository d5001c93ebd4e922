import { Failure } from '../platform/failure.ts';

/** What most clients send. They accept everything or JSON, and are recognised without parsing the header. */
const ACCEPTS_JSON: ReadonlySet<string | null> = new Set([
  null,
  '*/*',
  'application/json',
  'application/json, text/plain, */*',
  'application/json, */*',
]);

const JSON_TYPE = 'application/json';
/** One media range with its parameters (RFC 9110 §12.5.1), without quoted values, in which a comma could stand. */
const RANGE = /^([!#$%&'*+.^_`|~0-9a-z-]+)\/([!#$%&'*+.^_`|~0-9a-z-]+)\s*(?:;(.*))?$/;
/** §12.4.2: 0 to 1, with at most three digits behind the point. */
const WEIGHT = /^\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*$/;

/** How much of a range a media type has to match; the most specific range that matches decides. */
const EXACT = 3;
const SUBTYPE = 2;
const ANY = 1;

/**
 * Whether the header admits one of the media types, or JSON, in which every route answers failures.
 *
 * A header without a range that can be read admits everything, as an absent one does: §12.5.1 lets a server disregard it.
 *
 * @param types in lower case, without parameters.
 */
export function accepts(accept: string | null, types: readonly string[]): boolean {
  if (ACCEPTS_JSON.has(accept)) return true;
  const ranges = (accept ?? '').toLowerCase().split(',').flatMap(rangeOf);
  if (ranges.length === 0) return true;
  return [JSON_TYPE, ...types].some((type) => weightOf(ranges, type) > 0);
}

/**
 * The media type that a client prefers (RFC 9110 §12.5.1). Of those that it likes equally, the first.
 *
 * @param types in lower case, without parameters.
 */
export function preferred<Type extends string>(
  accept: string | null,
  types: readonly [Type, ...Type[]],
): Type {
  const ranges = (accept ?? '*/*').toLowerCase().split(',').flatMap(rangeOf);
  return types.reduce((best, type) => (weightOf(ranges, type) > weightOf(ranges, best) ? type : best));
}

/**
 * For routes that answer JSON alone.
 *
 * @throws Failure `not_acceptable`
 */
export function assertAcceptsJson(headers: Headers): void {
  const accept = headers.get('accept');
  if (!ACCEPTS_JSON.has(accept) && !accepts(accept, [])) throw notAcceptable([JSON_TYPE]);
}

export function notAcceptable(types: readonly string[]): Failure {
  return new Failure(
    'not_acceptable',
    `The answer is ${types.join(' or ')}. Accept it, or leave Accept out.`,
    {
      pointer: 'Accept',
    },
  );
}

interface Range {
  readonly type: string;
  readonly subtype: string;
  readonly weight: number;
}

/** Parameters other than the weight are disregarded: no route has two representations of one type. */
function rangeOf(text: string): Range[] {
  const [, type = '', subtype = '', parameters = ''] = RANGE.exec(text.trim()) ?? [];
  if (type === '' || (type === '*' && subtype !== '*')) return [];
  const weight = parameters.split(';').find((parameter) => /^\s*q\s*=/.test(parameter));
  if (weight === undefined) return [{ type, subtype, weight: 1 }];
  const [, value] = WEIGHT.exec(weight) ?? [];
  return value === undefined ? [] : [{ type, subtype, weight: Number(value) }];
}

function weightOf(ranges: readonly Range[], mediaType: string): number {
  const [type = '', subtype = ''] = mediaType.split('/');
  let best = 0;
  let weight = 0;
  for (const range of ranges) {
    const match =
      range.type === '*'
        ? ANY
        : range.type !== type
          ? 0
          : range.subtype === '*'
            ? SUBTYPE
            : range.subtype === subtype
              ? EXACT
              : 0;
    if (match === 0 || match < best) continue;
    // Of two ranges that are equally specific the greater weight counts.
    weight = match > best ? range.weight : Math.max(weight, range.weight);
    best = match;
  }
  return weight;
}
