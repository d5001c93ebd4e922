import { expect, it } from 'vitest';
import { accepts, assertAcceptsJson } from '../../../src/gateway/accept.ts';

const STREAM = 'text/event-stream';

it.each([
  [null, true],
  ['', true],
  ['*/*', true],
  ['application/json', true],
  ['APPLICATION/JSON', true],
  ['application/*', true],
  ['application/json;charset=utf-8', true],
  ['text/html, application/json;q=0.001', true],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', true],
  ['text/event-stream', true],
  ['text/*;q=0.5', true],
  ['text/html', false],
  ['text/html;q=1, image/*', false],
  ['application/problem+json', false],
  ['application/json-seq', false],
  ['application/json;q=0', false],
  ['application/json;q=0, text/event-stream', true],
  ['application/json;q=0, text/event-stream;q=0', false],
  ['*/*;q=0', false],
  ['*/*;q=1, application/json;q=0, text/*;q=0.0', false],
  ['application/*;q=0, application/json', true],
  ['*/*;q=0, text/event-stream', true],
  // No range of these can be read, so the header says nothing.
  ['json', true],
  ['*/json', true],
  ['text/html;q=2', true],
  [', ,', true],
  // A range that cannot be read is disregarded, and the others count.
  ['text/html, json', false],
])('%j: a route that streams is acceptable: %s', (accept, expected) => {
  expect(accepts(accept, [STREAM])).toBe(expected);
});

it('is a failure with a stable code for an answer in JSON', () => {
  const asking = (accept: string) => () => assertAcceptsJson(new Headers({ accept }));
  expect(asking('text/html')).toThrow(expect.objectContaining({ code: 'not_acceptable', pointer: 'Accept' }));
  expect(asking('text/html, */*;q=0.1')).not.toThrow();
});
