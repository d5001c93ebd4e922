import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PLAIN_WORDS } from '../../../src/platform/plain-words.ts';
import { errorFields, redacted, redactedReason } from '../../../src/platform/redaction.ts';
import { runsOf } from '../../support/node/part.ts';

describe('a message', () => {
  it.each([
    ['Network connection lost.', 'Network connection lost.'],
    [
      'duplicate key value violates unique constraint "customers_email_key"',
      'duplicate key value violates unique constraint "…"',
    ],
    ['invalid input syntax for type integer: "Jane Doe"', 'invalid input syntax for type integer: "…"'],
    [
      'Unexpected token \'J\', "{"name":Jane Doe}" is not valid JSON',
      'Unexpected token \'…"name":…" is not valid JSON',
    ],
    [
      "Cannot read properties of undefined (reading 'email')",
      "Cannot read properties of undefined (reading '…')",
    ],
    ['The customer jane@example.org is not welcome', 'The … is not …'],
    ['No answer within 900 ms.', 'No answer within … ms.'],
    ['', ''],
  ])('keeps its plain words: %s', (message, kept) => {
    expect(redacted(message)).toBe(kept);
  });

  it('has no word, number or sign of a value, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (value) => {
        const kept = redacted(`The value ${value} is not valid: ${value}`);
        const words = kept.match(/[\p{L}\p{N}]+/gu) ?? [];
        for (const word of words) expect(PLAIN_WORDS).toContain(word.toLowerCase());
        expect(kept).toMatch(/^[\w\s.,:;()'"`…]*$/);
        expect(kept.length).toBeLessThanOrEqual(302);
      }),
      { numRuns: runsOf(2_000) },
    );
  });

  it('has no common name of a person', () => {
    const names =
      'james mary john patricia robert jennifer michael linda david elizabeth william barbara richard susan joseph jessica grace mark frank will victor max art may june april august rose lily hope faith joy dean earl king page young white black brown green wood price hill rich long small short case';
    const kept = names.split(' ').filter((name) => PLAIN_WORDS.has(name));
    // Words of messages that are surnames as well: docs/operations.md names them.
    expect(kept).toEqual(['page', 'long', 'small', 'short']);
  });
});

describe('an error', () => {
  it('is its type, its code and its frames, and its message has no value', () => {
    const cause = Object.assign(new Error('Key (email)=(jane@example.org) already exists.'), {
      code: '23505',
    });
    const fields = errorFields(new Error('Failed query: insert into customers\nparams: Jane Doe', { cause }));
    expect(JSON.stringify(fields)).not.toMatch(/jane|doe|example/i);
    expect(fields).toMatchObject({
      'error.type': 'Error',
      'error.code': '23505',
      'millrace.causes': expect.stringMatching(/^Error: Key \(….* already exists\.$/),
      'error.stack_trace': expect.stringMatching(/^\s+at .*redaction\.test\.ts/),
    });
    expect(redactedReason(new Error('outer', { cause }))).toMatch(/^Error \(23505\): Key/);
  });

  it('has no frame that its message has made up', () => {
    const error = new Error('x\n    at Jane Doe (jane.ts:1:1)\n    at Jane.Doe:2:2');
    expect(errorFields(error)['error.stack_trace']).not.toMatch(/jane/i);
    error.message = 'another';
    expect(errorFields(error)['error.stack_trace']).toBeUndefined();
  });

  it('with a name or a code that is a text of somebody has none of it', () => {
    const error = Object.assign(new Error('gone'), { name: 'Jane Doe', code: 'jane@example.org' });
    expect(errorFields(error)).toMatchObject({ 'error.type': 'Error', 'error.message': '…' });
    expect(JSON.stringify(errorFields('Jane Doe'))).not.toMatch(/jane/i);
    expect(JSON.stringify(errorFields(error))).not.toMatch(/jane/i);
  });
});
