import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  IN_VARIABLES,
  postLine,
  readLine,
  sendLine,
  streamLine,
  writtenOut,
} from '../../../../src/gateway/page/lines.ts';

/** A `curl` that prints its arguments, each with a NUL behind it. */
const folder = mkdtempSync(join(tmpdir(), 'millrace-lines-'));
writeFileSync(join(folder, 'curl'), `#!/bin/sh\nprintf '%s\\0' "$@"\n`);
chmodSync(join(folder, 'curl'), 0o755);
afterAll(() => rmSync(folder, { recursive: true }));

const URL_OF_TEST = "http://h/it's";
const KEY_OF_TEST = 'a"b$c`d';

/** The arguments that a real shell makes of the line. */
function argumentsOf(line: string): string[] {
  const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}`, URL: URL_OF_TEST, KEY: KEY_OF_TEST };
  return execFileSync('/bin/sh', ['-c', line], { env, encoding: 'utf8' }).split('\0').slice(0, -1);
}

const HOSTILE = `'; $(id) \`id\` "$URL" \\ <b>`;

describe.each([
  ['in variables', IN_VARIABLES],
  ['written out', writtenOut(URL_OF_TEST, KEY_OF_TEST)],
])('lines with address and key %s', (_, at) => {
  it('have the words that were meant', () => {
    expect(argumentsOf(readLine(at, '/v1/a?b=c&d=%24URL', { isPublic: true }))).toEqual([
      '-i',
      `${URL_OF_TEST}/v1/a?b=c&d=%24URL`,
    ]);
    expect(argumentsOf(streamLine(at, `/v1/"$x\`'`))).toEqual([
      '-N',
      `${URL_OF_TEST}/v1/"$x\`'`,
      '-H',
      `authorization: Bearer ${KEY_OF_TEST}`,
    ]);
  });

  it('expand no history in an interactive shell', () => {
    const line = readLine(at, '/v1/what!-1', { isPublic: true });
    expect(argumentsOf(line)).toEqual(['-i', `${URL_OF_TEST}/v1/what!-1`]);
    // A single quote is open before it.
    expect(line).toMatch(/'[^'"]*![^'"]*'/);
  });

  it('keep hostile data as data', () => {
    const posted = argumentsOf(postLine(at, '/v1/x', { text: HOSTILE }, { isPublic: true }));
    expect(JSON.parse(posted.at(-1) ?? '')).toEqual({ text: HOSTILE });
    const sent: unknown = JSON.parse(argumentsOf(sendLine(at, { type: 't', data: HOSTILE })).at(-1) ?? '');
    expect(sent).toMatchObject({ type: 't', data: HOSTILE, id: expect.stringMatching(/^try-\d+$/) });
  });
});
