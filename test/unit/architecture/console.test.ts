import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
/** The worker's own code, and not what runs in a browser or in the program of somebody else. */
const FOLDERS = ['src', 'durable-objects', 'queues'];
const ELSEWHERE = /^src\/(?:client|gateway\/page)\//;
const LOGGER = 'src/platform/logger.ts';

it('the worker writes to the console in one place, which redacts', () => {
  const writers = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  ).filter(
    (file) =>
      file.endsWith('.ts') &&
      !ELSEWHERE.test(file) &&
      /\bconsole\b\s*[.[]/.test(readFileSync(join(ROOT, file), 'utf8')),
  );
  expect(writers).toEqual([LOGGER]);
});
