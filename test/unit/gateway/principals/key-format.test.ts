import fc from 'fast-check';
import { expect, it } from 'vitest';
import { idOf, isKeyId, isWellFormed, newKey } from '../../../../src/gateway/principals/key-format.ts';
import { secureBytes } from '../../../../src/platform/random-bytes.ts';

const bytes = fc.uint8Array({ minLength: 40, maxLength: 40 });
const keyOf = (seed: Uint8Array) => {
  let taken = 0;
  return newKey((length) => {
    taken += length;
    return seed.slice(taken - length, taken);
  });
};

it('makes a key of any random bytes, with its id, that fits a header and a file', () => {
  fc.assert(
    fc.property(bytes, (seed) => {
      const { id, text } = keyOf(seed);
      expect(isKeyId(id)).toBe(true);
      expect(idOf(text)).toBe(id);
      expect(isWellFormed(text)).toBe(true);
      expect(text).toMatch(/^mlr_[\w-]+$/);
      expect(text.length).toBe(72);
    }),
  );
});

it('has different texts for different bytes', () => {
  fc.assert(
    fc.property(bytes, bytes, (one, other) => {
      expect(keyOf(one).text === keyOf(other).text).toBe(one.join() === other.join());
    }),
  );
});

it('refuses a key with any one character changed, and any part of one', () => {
  fc.assert(
    fc.property(bytes, fc.nat(71), fc.constantFrom(...'09afAZ_-. '), (seed, at, character) => {
      const { text } = keyOf(seed);
      const changed = text.slice(0, at) + character + text.slice(at + 1);
      expect(isWellFormed(changed)).toBe(changed === text);
      expect(isWellFormed(text.slice(0, at))).toBe(false);
    }),
  );
});

it('refuses any other text', () => {
  fc.assert(fc.property(fc.string(), (text) => !isWellFormed(text) && idOf(text) === undefined));
});

it('takes its bytes from the secure source', () => {
  const keys = Array.from({ length: 100 }, () => newKey(secureBytes).text);
  expect(new Set(keys).size).toBe(100);
});

it('keeps the id of a key that gets a new secret', () => {
  const { id, text } = newKey(secureBytes);
  const rotated = newKey(secureBytes, id);
  expect(rotated.id).toBe(id);
  expect(rotated.text).not.toBe(text);
});
