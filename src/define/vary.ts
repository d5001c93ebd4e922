/**
 * A property of the reader that an answer may depend on beside its path and query. Raw headers have a value for
 * every browser; a dimension has one of a few, so that the entries of a view stay few, too.
 */
export interface VaryDimension<Value extends string = string> {
  /** The request header that it is read from, as `Vary` names it. */
  readonly header: string;
  readonly values: readonly Value[];
  /** One of `values`, whatever the header says; `null` stands for a request without it. */
  readonly choose: (header: string | null) => Value;
}

/** What a view varies on, by the names that its query knows the dimensions by. */
export type VaryDimensions = Readonly<Record<string, VaryDimension>>;

/** The value of each dimension for one request. */
export type Variant<Dimensions extends VaryDimensions = VaryDimensions> = {
  readonly [Name in keyof Dimensions]: Dimensions[Name] extends VaryDimension<infer Value> ? Value : never;
};

/** Header fields longer than any browser's are read up to here: each range is compared with each value. */
const LANGUAGE_RANGES_MAX = 32;

/**
 * The language to answer in, from `Accept-Language` (RFC 9110 §12.5.4): of `values`, the one with the greatest
 * weight, of equal ones that which the reader names first. A range matches the tags that begin with it and, for
 * want of such, those that it begins with (RFC 4647 §3.3.1 and §3.4), so that `de-CH` is answered in `de`.
 *
 * @param values language tags, e.g. `en`, `de`, `pt-BR`.
 * @param otherwise the one for readers who accept none of them, or do not say.
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

/** The ranges of the field; a member that keeps to no grammar is left out. */
function languageRanges(header: string): LanguageRange[] {
  return header.split(',', LANGUAGE_RANGES_MAX).flatMap((member, place) => {
    const match =
      /^\s*(\*|[a-z]{1,8}(?:-[a-z\d]{1,8})*)\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?$/i.exec(member);
    if (match === null) return [];
    const [, range = '', weight = '1'] = match;
    return [{ range: range.toLowerCase(), weight: Number(weight), place }];
  });
}

/** The range that decides on a tag: the most specific one that matches it, else a longer one, else `*`. */
function rangeFor(tag: string, ranges: readonly LanguageRange[]): LanguageRange | undefined {
  const longest = ranges
    .filter(({ range }) => tag === range || tag.startsWith(`${range}-`))
    .sort((a, b) => b.range.length - a.range.length)[0];
  const truncated = ranges
    .filter(({ range, weight }) => weight > 0 && range.startsWith(`${tag}-`))
    .sort((a, b) => b.weight - a.weight)[0];
  return longest ?? truncated ?? ranges.find(({ range }) => range === '*');
}
