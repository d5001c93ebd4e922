import { mkdtempSync, openAsBlob, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linkUnlessThere } from '../../support/node/memory-database.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-image-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Writes an image as each of two processes does that make it at the same time. */
function written(by: string): string {
  const own = join(folder, `image.tar.${by}`);
  writeFileSync(own, by);
  return own;
}

describe('an image that two processes make at the same time', () => {
  it('can be read by who has it open when the second is ready', async () => {
    const image = join(folder, 'image.tar');
    linkUnlessThere(written('first'), image);
    const opened = await openAsBlob(image);
    linkUnlessThere(written('the second'), image);
    expect(await opened.text()).toBe('first');
  });

  it('could not be read any more if the second replaced it', async () => {
    const image = join(folder, 'image.tar');
    renameSync(written('first'), image);
    const opened = await openAsBlob(image);
    renameSync(written('the second'), image);
    await expect(opened.text()).rejects.toThrow('The blob could not be read');
  });
});
