import { afterEach, describe, expect, it, vi } from 'vitest';
import { fieldValue, REDACTED } from '../../../src/platform/log-fields.ts';
import { LINES_MS, LineLimit, log, logSeldom } from '../../../src/platform/logger.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

function captured(level: 'log' | 'warn' | 'error') {
  const lines: Record<string, unknown>[] = [];
  vi.spyOn(console, level).mockImplementation((line: string) => void lines.push(JSON.parse(line)));
  return lines;
}

describe('a line', () => {
  it('has the names of the Elastic Common Schema, and no field that is undefined', () => {
    const lines = captured('warn');
    log(
      'warn',
      'A test writes.',
      { 'event.action': 'test', 'millrace.model.name': undefined },
      new TypeError('not found'),
    );
    expect(lines).toEqual([
      {
        '@timestamp': expect.stringMatching(/^\d{4}-.*Z$/),
        'log.level': 'warn',
        message: 'A test writes.',
        'ecs.version': '8.17.0',
        'service.name': 'millrace',
        'service.version': expect.any(String),
        'event.action': 'test',
        'error.type': 'TypeError',
        'error.message': 'not found',
        'error.stack_trace': expect.stringMatching(/^\s+at /),
      },
    ]);
  });

  it('has no value that its field does not take', () => {
    expect(fieldValue('millrace.model.name', 'ranker')).toBe('ranker');
    for (const value of ['jane@example.org', '"Jane"', 'x'.repeat(200), 'a\nb'])
      expect(fieldValue('millrace.model.name', value)).toBe(REDACTED);
    expect(fieldValue('trace.id', 'Jane Doe')).toBe(REDACTED);
    expect(fieldValue('trace.id', '0af7651916cd43dd8448eb211c80319c')).toMatch(/^0af/);
    expect(fieldValue('http.request.id', '8f3b2c1d0e9a7b65-FRA')).toMatch(/FRA$/);
    expect(fieldValue('event.duration', Number.NaN)).toBe(REDACTED);
  });

  it('has a constant message: one with a value in it does not compile', () => {
    captured('warn');
    const name: string = 'Jane';
    // @ts-expect-error the message has a value in it
    log('warn', `The customer ${name} is not known.`);
    // @ts-expect-error the message is not a literal
    log('warn', name);
    // @ts-expect-error the field is not in the table
    log('warn', 'A field.', { customer: name });
  });
});

it('of many lines of a message, some are written, and the next has the number of the others', () => {
  let now = 1_000_000;
  const limit = new LineLimit(() => now);
  const admitted = Array.from({ length: 100 }, () => limit.admit('A message.', 3));
  expect(admitted.filter((suppressed) => suppressed !== undefined)).toEqual([0, 0, 0]);
  expect(limit.admit('Another message.', 3)).toBe(0);
  now += LINES_MS;
  expect(limit.admit('A message.', 3)).toBe(97);
  expect(limit.admit('A message.', 3)).toBe(0);
});

it('what each read may meet is one line a minute', () => {
  const lines = captured('warn');
  for (let read = 0; read < 1_000; read += 1)
    logSeldom('warn', 'The store of this test is away.', { 'event.action': 'get' }, new Error('timeout'));
  expect(lines).toMatchObject([{ message: 'The store of this test is away.', 'error.message': 'timeout' }]);
});
