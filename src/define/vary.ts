/**
 * A property of the reader on which an answer may depend in addition to path and query. A raw header has a value for
 * every browser; a dimension has few values, so that a view has few entries.
 */
export interface VaryDimension<Value extends string = string> {
  /** The request header that determines it, as `Vary` names it. */
  readonly header: string;
  readonly values: readonly Value[];
  /** Returns one of `values` for any header; `null` represents a request without it. */
  readonly choose: (header: string | null) => Value;
}

/** The dimensions of a view, by the names that its query uses. */
export type VaryDimensions = Readonly<Record<string, VaryDimension>>;

/** The value of each dimension for one request. */
export type Variant<Dimensions extends VaryDimensions = VaryDimensions> = {
  readonly [Name in keyof Dimensions]: Dimensions[Name] extends VaryDimension<infer Value> ? Value : never;
};

/**
 * The most ranges that are read of a header field, more than any browser sends: each range is compared with each value.
 */
const LANGUAGE_RANGES_MAX = 32;

/**
 * The language to answer in, from `Accept-Language` (RFC 9110 §12.5.4): the one of `values` with the greatest weight
 * and, among equal weights, the one that the reader lists first. A range matches the tags that begin with it and, if
 * there are none, the tags that it begins with (RFC 4647 §3.3.1 and §3.4), so that `de-CH` is answered in `de`.
 *
 * @param values language tags, e.g. `en`, `de`, `pt-BR`.
 * @param otherwise for readers who accept none of them, or send no preference.
 */
export function acceptLanguage<const Value extends string>(
  values: readonly Value[],
  otherwise: NoInfer<Value>,
): VaryDimension<Value> {
  const candidates = [otherwise, ...values.filter((value) => value !== otherwise)];
  return {
    header: 'Accept-Language',
    values: candidates,
    choose: (header) => {
      const ranges = languageRanges(header ?? '');
      let best: { value: Value; weight: number; place: number } | undefined;
      for (const value of candidates) {
        const range = rangeFor(value.toLowerCase(), ranges);
        if (range === undefined || range.weight === 0) continue;
        const { weight, place } = range;
        if (best === undefined || weight > best.weight || (weight === best.weight && place < best.place))
          best = { value, weight, place };
      }
      return best?.value ?? otherwise;
    },
  };
}

interface LanguageRange {
  /** In lower case. */
  readonly range: string;
  /** 0, for "not acceptable", to 1. */
  readonly weight: number;
  readonly place: number;
}

/** The ranges of the field; invalid members are ignored. */
function languageRanges(header: string): LanguageRange[] {
  return header.split(',', LANGUAGE_RANGES_MAX).flatMap((member, place) => {
    const match =
      /^\s*(\*|[a-z]{1,8}(?:-[a-z\d]{1,8})*)\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?$/i.exec(member);
    if (match === null) return [];
    const [, range = '', weight = '1'] = match;
    return [{ range: range.toLowerCase(), weight: Number(weight), place }];
  });
}

/** The range that decides on a tag: the most specific match, else a longer range, else `*`. */
function rangeFor(tag: string, ranges: readonly LanguageRange[]): LanguageRange | undefined {
  const longest = ranges
    .filter(({ range }) => tag === range || tag.startsWith(`${range}-`))
    .sort((a, b) => b.range.length - a.range.length)[0];
  const truncated = ranges
    .filter(({ range, weight }) => weight > 0 && range.startsWith(`${tag}-`))
    .sort((a, b) => b.weight - a.weight)[0];
  return longest ?? truncated ?? ranges.find(({ range }) => range === '*');
}
