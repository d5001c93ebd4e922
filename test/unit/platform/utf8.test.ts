import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeJsonText, decodeUtf8 } from '../../../src/platform/utf8.ts';

const ROOT = join(import.meta.dirname, '../../..');
const bytes = (...values: number[]) => Uint8Array.from(values);

describe('bytes', () => {
  it('are text if they are UTF-8, and nothing else ever is', () => {
    expect(decodeUtf8(bytes(0xc3, 0xa9))).toBe('é');
    for (const other of [bytes(0xe9), bytes(0xc3), bytes(0xed, 0xa0, 0x80), bytes(0xc0, 0x80)])
      expect(() => decodeUtf8(other)).toThrow(TypeError);
    // The decoder begins anew after an error.
    expect(decodeUtf8(bytes(0x61))).toBe('a');
  });

  it('keep a byte order mark, which JSON alone ignores', () => {
    const marked = bytes(0xef, 0xbb, 0xbf, 0x31);
    expect(decodeUtf8(marked)).toBe('\ufeff1');
    expect(decodeJsonText(marked)).toBe('1');
  });
});

it('no other code of the worker makes text of bytes', () => {
  const lenient = /TextDecoder|\.(?:json|text)\(\)|toString\('(?:utf8|utf-8|latin1)'\)/;
  const elsewhere = ['src', 'durable-objects', 'queues'].flatMap((folder) =>
    globSync(join(ROOT, folder, '**/*.ts'))
      // Both run at the client, not in the worker.
      .filter((file) => !file.includes('/gateway/page/') && !file.includes('/src/client/'))
      // The texts of a tensor that the graph made are no text from outside: they are replaced where they are broken.
      .filter((file) => !file.endsWith('/inference/onnx/session.ts'))
      .filter((file) => !file.endsWith('/platform/utf8.ts'))
      .filter((file) => lenient.test(readFileSync(file, 'utf8'))),
  );
  expect(elsewhere).toEqual([]);
});
