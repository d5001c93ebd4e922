import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { pageContent } from '../../src/gateway/page/content.ts';
import { catalog } from '../support/catalog/index.ts';
import { KEY, startStack } from '../support/node/stack.ts';

const execute = promisify(execFile);

it('shows lines that a shell runs, and that this deployment answers', async () => {
  await using stack = await startStack();
  const origin = new URL((await stack.fetch('/health/live')).url).origin;
  const { sections } = pageContent(catalog, Date.now());
  /** The status that the line's `curl` prints at the end; a stream is ended after some seconds. */
  const statusOf = async (line: string) => {
    const quiet = `-s -o /dev/null -m ${line.startsWith('curl -N') ? 5 : 20} -w '%{http_code}'`;
    const env = { ...process.env, URL: origin, KEY };
    const { stdout } = await execute('/bin/sh', ['-c', `${line} ${quiet} || true`], { env });
    return stdout.slice(-3);
  };
  const lines = (id: string) =>
    sections.find((section) => section.id === id)?.entries.map(({ line }) => line) ?? [];
  // The events first: their examples make the rows that the views show. -i prints nothing beside `-o`.
  for (const line of lines('events')) expect(await statusOf(line), line).toMatch(/^20[12]$/);
  // The account of a key without a claim is none.
  for (const line of ['views', 'features'].flatMap(lines))
    expect(await statusOf(line), line).toBe(line.includes('/v1/account') ? '404' : '200');
  const streams = lines('entities');
  expect(await Promise.all(streams.map(statusOf))).toEqual(streams.map(() => '200'));
  // No version of these is published: two say so, and the third is asked with a placeholder in its request.
  expect(await Promise.all(lines('models').map(statusOf))).toEqual(['503', '503', '400']);
});
