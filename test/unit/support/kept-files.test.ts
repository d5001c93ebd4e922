import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keptFolder } from '../../support/node/kept-files.ts';

describe('a folder that is made once', () => {
  let kept: string;
  let made: number;
  beforeEach(() => {
    kept = mkdtempSync(join(tmpdir(), 'kept-'));
    made = 0;
  });
  afterEach(() => rmSync(kept, { recursive: true }));

  const make = async (folder: string) => {
    made += 1;
    writeFileSync(join(folder, 'text'), String(made));
  };

  it('is there for whoever asks again', async () => {
    const folder = await keptFolder('one', make, kept);
    expect(await keptFolder('one', make, kept)).toBe(folder);
    expect(readFileSync(join(folder, 'text'), 'utf8')).toBe('1');
    expect(made).toBe(1);
  });

  it('is made again by the next one if its maker fails, and nothing of it is left', async () => {
    const broken = keptFolder('one', () => Promise.reject(new Error('no space')), kept);
    await expect(broken).rejects.toThrow('no space');
    expect(readdirSync(kept)).toEqual([]);
    await keptFolder('one', make, kept);
    expect(made).toBe(1);
  });

  it('is waited for while another process makes it, and made if that process has ended', async () => {
    // The process that runs this one is alive.
    const theirs = join(kept, `one.${process.ppid}`);
    mkdirSync(theirs);
    const folder = keptFolder('one', make, kept);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(made).toBe(0);
    rmSync(theirs, { recursive: true });
    await folder;
    expect(made).toBe(1);

    const { pid } = spawnSync('true');
    const left = join(kept, `two.${pid}`);
    mkdirSync(left);
    await keptFolder('two', make, kept);
    expect(existsSync(left)).toBe(false);
    expect(made).toBe(2);
  });
});
