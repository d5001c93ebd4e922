import { describe, expect, it } from 'vitest';
import { nearest, readOptions, UsageError } from '../../../scripts/command-line/options.ts';
import {
  databaseUrlOf,
  momentOf,
  portOf,
  wholeNumberOf,
  workerUrlOf,
} from '../../../scripts/command-line/values.ts';

const options = {
  port: { type: 'string' },
  fresh: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;
const read = (args: string[], env: Record<string, string> = {}) =>
  readOptions({ command: 'npm run dev', options, args, env });

describe('options', () => {
  it('are read', () => {
    expect(read(['--port', '9000', '--fresh']).values).toEqual({ port: '9000', fresh: true });
  });

  it.each([
    [['--prot', '1'], /There is no option --prot\. Did you mean --port\?/],
    [['--frehs'], /Did you mean --fresh\?/],
    [['--zzz'], /There is no option --zzz\. `npm run dev -- --help`/],
    [['--port'], /--port needs a value/],
    [['--port='], /--port needs a value/],
    [['--port', '--fresh'], /--port needs a value/],
    [['--fresh=yes'], /--fresh takes no value/],
    [['9000'], /takes no arguments without a dash; "9000" is one too many/],
  ])('%j is refused in one line', (args, message) => {
    expect(() => read(args)).toThrow(UsageError);
    expect(() => read(args)).toThrow(message);
    expect(() => read(args)).not.toThrow(/\n/);
  });

  it('that npm consumed are reported', () => {
    expect(() => read([], { npm_config_fresh: 'true' })).toThrow(/write `npm run dev -- --fresh`/);
    const command = 'npm run cli -- digest';
    expect(() => readOptions({ command, options, args: [], env: { npm_config_port: '1' } })).toThrow(
      /write `npm run cli -- digest --port`/,
    );
  });

  it('are listed where the command has no --help of its own', () => {
    const wrong = (own: object) => () =>
      readOptions({ command: 'npm run cli -- digest', options: { ...own }, args: ['--zzz'], env: {} });
    expect(wrong({ port: { type: 'string' } })).toThrow(
      'There is no option --zzz. `npm run cli -- digest` takes --port.',
    );
    expect(wrong({})).toThrow('There is no option --zzz. `npm run cli -- digest` takes no options.');
  });

  it('suggest the nearest name, if any', () => {
    expect(nearest('rebild', ['rebuild', 'restart'])).toBe('rebuild');
    expect(nearest('quite-another', ['rebuild', 'restart'])).toBeUndefined();
  });
});

describe('values', () => {
  it.each(['0', '65536', '-1', '80.5', 'abc', '', ' 80', '0x50', '1e3'])('port %j is refused', (text) => {
    expect(() => portOf('--port', text)).toThrow(/whole number from 1 to 65535/);
  });

  it('of ranges name the range', () => {
    expect(wholeNumberOf('--rate', '5', { min: 1 })).toBe(5);
    expect(() => wholeNumberOf('--rate', '0', { min: 1 })).toThrow(
      '--rate takes a whole number of at least 1, not "0".',
    );
  });

  it('that are addresses contain only the address', () => {
    expect(workerUrlOf('--url', 'http://127.0.0.1:8787/')).toBe('http://127.0.0.1:8787');
    expect(() => workerUrlOf('--url', '127.0.0.1:9000')).toThrow('as http://127.0.0.1:9000, not');
    expect(() => workerUrlOf('--url', 'localhost:9000')).toThrow('as http://localhost:9000, not');
    expect(() => workerUrlOf('--url', 'http://x/v1/events')).toThrow(
      "the worker's address without a path, such as http://x",
    );
    for (const text of ['', 'ftp://x', 'http://', 'nonsense here'])
      expect(() => workerUrlOf('--url', text)).toThrow(UsageError);
  });

  it('that are times are RFC 3339', () => {
    expect(momentOf('--from', '2026-05-31T09:00:00Z')).toBe('2026-05-31T09:00:00Z');
    expect(momentOf('--from', '2026-05-31t09:00:00.25+02:00')).toBe('2026-05-31T09:00:00.25+02:00');
    expect(momentOf('--from', '2026-05-31')).toBe('2026-05-31T00:00:00Z');
    for (const text of [
      '2026-02-30',
      '2026-05-31T09:00:00',
      '2026-05-31 09:00:00Z',
      '',
      'yesterday',
      '2026-13-01T00:00:00Z',
      '31.05.2026',
    ])
      expect(() => momentOf('--from', text)).toThrow(/RFC 3339/);
  });

  it('of DATABASE_URL are never repeated: they hold a password', () => {
    expect(databaseUrlOf('')).toBeUndefined();
    for (const text of ['secret', 'mysql://u:secret@h/d', 'postgres://u:secret@h', 'postgres:///secret'])
      expect(() => databaseUrlOf(text)).not.toThrow(/secret/);
    for (const text of ['secret', 'mysql://u:secret@h/d', 'postgres://u:secret@h'])
      expect(() => databaseUrlOf(text)).toThrow(UsageError);
  });
});
