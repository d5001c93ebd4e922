import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const WRANGLER = readFileSync(join(import.meta.dirname, '../../../wrangler.toml'), 'utf8');

it('keeps every line that the worker logs, and no line for each invocation', () => {
  const [, logs = ''] = /^\[observability\.logs\]\n((?:.+\n)+)/m.exec(WRANGLER) ?? [];
  expect(logs).toContain('enabled = true');
  expect(logs).toContain('invocation_logs = false');
  // A lower rate would drop errors as well: the platform decides at the beginning of an invocation.
  expect(logs).toContain('head_sampling_rate = 1');
  expect(WRANGLER).toMatch(/^\[observability\]\nenabled = true\nhead_sampling_rate = 1$/m);
});
