import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acceptLanguage } from '../../../src/define/vary.ts';

const { choose, header, values } = acceptLanguage(['en', 'de', 'fr', 'pt-BR'], 'en');

describe('the language of a reader', () => {
  it.each([
    [null, 'en'],
    ['', 'en'],
    ['fr', 'fr'],
    ['FR', 'fr'],
    ['de, fr', 'de'],
    ['fr, de', 'fr'],
    ['de;q=0.5, fr;q=0.8', 'fr'],
    ['de ; q=0.5 ,fr;q=0.499', 'de'],
    // A range that is more specific than what there is, and one that is less.
    ['de-CH, fr;q=0.9', 'de'],
    ['pt', 'pt-BR'],
    ['pt-PT, fr;q=0.2', 'fr'],
    // The most specific range decides, and a weight of 0 refuses.
    ['pt-BR;q=0, pt, fr;q=0.1', 'fr'],
    ['de;q=0, de-CH, fr;q=0.1', 'fr'],
    ['*', 'en'],
    ['en;q=0.1, *;q=0.5, fr;q=0.4', 'de'],
    ['en;q=0, *;q=0.5', 'de'],
    ['*;q=0', 'en'],
    ['ja', 'en'],
    // What keeps to no grammar is left out, and the rest counts.
    ['fr;q=2, de;q=0.1', 'de'],
    ['fr;level=1, de;q=0.1', 'de'],
    ['_, ,fr', 'fr'],
    ['q=1', 'en'],
  ] as const)('%s is %s', (field, language) => {
    expect(choose(field)).toBe(language);
  });

  it('is one of the declared languages for any header', () => {
    const member = fc.tuple(
      fc.constantFrom('en', 'de-AT', 'fr', '*', 'pt', 'x'),
      fc.constantFrom('', ';q=0', ';q=0.3', ';q=9'),
    );
    const fields = fc.oneof(
      fc.string(),
      fc.array(member).map((all) => all.map((parts) => parts.join('')).join(', ')),
    );
    fc.assert(
      fc.property(fields, (field) => {
        expect(values).toContain(choose(field));
      }),
    );
    expect(header).toBe('Accept-Language');
  });

  it('is parsed in linear time, even for a long header', () => {
    expect(choose(`${'ja, '.repeat(100_000)}fr`)).toBe('en');
  });
});
