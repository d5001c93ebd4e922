import { afterEach, expect, it, vi } from 'vitest';
import { SELDOM_MS, SeldomLog } from '../../../src/platform/logger.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

it('writes a message that each read may meet once a minute, with the number of lines left out', () => {
  let now = 1_000_000;
  const lines: Record<string, unknown>[] = [];
  vi.spyOn(console, 'warn').mockImplementation((line: string) => void lines.push(JSON.parse(line)));
  const seldom = new SeldomLog(() => now);
  const meet = (message: string) =>
    seldom.write('warn', message, { 'event.action': 'get' }, new Error('away'));
  for (let read = 0; read < 1_000; read += 1) meet('The store is away.');
  meet('Another store is away.');
  now += SELDOM_MS;
  meet('The store is away.');
  expect(lines).toMatchObject([
    { message: 'The store is away.', 'log.suppressed': 0, 'event.action': 'get', 'error.message': 'away' },
    { message: 'Another store is away.', 'log.suppressed': 0 },
    { message: 'The store is away.', 'log.suppressed': 999 },
  ]);
});
