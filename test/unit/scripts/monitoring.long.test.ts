import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { monitoringFiles } from '../../../scripts/monitoring/files.ts';
import { DEFAULT_OBJECTIVES } from '../../../src/define/objectives.ts';

const ROOT = join(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'millrace-monitoring-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('npm run monitoring writes the files of the objectives of the catalog', async () => {
  const args = ['scripts/monitoring.ts', '--out', folder];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  for (const [name, text] of Object.entries(monitoringFiles(DEFAULT_OBJECTIVES))) {
    expect(readFileSync(join(folder, name), 'utf8')).toBe(text);
    expect(stdout).toContain(`Wrote ${join(folder, name)}.`);
  }
});
