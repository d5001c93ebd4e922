import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockState } from '../../../../scripts/dev/state/lock.ts';
import { csvOf, type Endpoint, startEndpoint } from './import-fixtures.ts';

const LINES = 400;
const CLI = resolve('examples/shop/import.ts');
const NODE = resolve('node_modules/.bin/node');

let directory: string;
let endpoint: Endpoint;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-import-'));
  endpoint = await startEndpoint();
  file = join(directory, 'retail.csv');
  await writeFile(file, csvOf(LINES));
});
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const start = (...args: string[]) => {
  const child = spawn(NODE, [CLI, ...args], { cwd: directory, env: { ...process.env, MILLRACE_KEY: '' } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  return { child, done: once(child, 'close').then(([code]) => ({ code: code as number, output })) };
};

test('Ctrl-C prints how to continue, and the same command continues', { timeout: 30_000 }, async () => {
  const args = [file, '--url', endpoint.url, '--key', 'k', '--batch', '10'];
  const { child, done } = start(...args);
  endpoint.intercept = (count, response) => {
    if (count < 10) return false;
    if (count === 10) child.kill('SIGINT');
    response.writeHead(503, { 'retry-after': '60' }).end();
    return true;
  };
  const interrupted = await done;
  expect(interrupted.code).toBe(130);
  expect(interrupted.output).toMatch(
    /Interrupted after line \d+: the database holds all lines up to it\. The same command resumes there\./,
  );
  endpoint.intercept = () => false;
  const finished = await start(...args).done;
  expect(finished).toMatchObject({
    code: 0,
    output: expect.stringMatching(
      /Resuming after line.*lines +400.*next:\n +npm run train -- ranker --publish.*\n +curl .*customers\/13085\/recommendations/s,
    ),
  });
  expect(endpoint.stored.size).toBe(LINES);
  // Nine batches were stored. The answers of up to four were under way at Ctrl-C, so their lines are sent again.
  expect(endpoint.duplicates()).toBeLessThanOrEqual(4 * 10);
});

test('the same command finishes after the program was killed', { timeout: 30_000 }, async () => {
  const args = [file, '--url', endpoint.url, '--key', 'k', '--batch', '10'];
  const { child, done } = start(...args);
  endpoint.intercept = (count) => {
    if (count === 20) child.kill('SIGKILL');
    return false;
  };
  await done;
  endpoint.intercept = () => false;
  const { code, output } = await start(...args).done;
  expect({ code, output }).toMatchObject({
    code: 0,
    output: expect.stringMatching(/Resuming after line \d+/),
  });
  expect(endpoint.stored.size).toBe(LINES);
  const again = await start(...args).done;
  expect(again.output).toMatch(
    /holds all lines of this file.*lines +400.*customers\/13085\/recommendations/s,
  );
});

test('reports a wrong call without a stack trace', { timeout: 30_000 }, async () => {
  const closed = await startEndpoint();
  await closed[Symbol.asyncDispose]();
  const other = createServer((_, response) => response.writeHead(404).end('<html>')).listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const damaged = join(directory, 'damaged.csv.gz');
  await writeFile(damaged, gzipSync(csvOf(LINES)).subarray(0, 900));
  const at = ['--key', 'k', '--url'];
  const help = '`npm run import -- --help` lists the options.';
  const calls: [args: string[], code: number, said: RegExp | string][] = [
    [[], 2, `Name the file to import: npm run import -- FILE. ${help}`],
    [
      [file, 'more.csv'],
      2,
      /^`npm run import` takes 1 argument\(s\) without a dash; "more\.csv" is one too many\./,
    ],
    [
      [file],
      2,
      /^There is no key: give --key, set MILLRACE_KEY, or start npm run dev, which writes \.millrace\/key\.$/,
    ],
    [[file, '--key', 'k', '--batch', '0'], 2, '--batch takes a whole number from 1 to 1000, not "0".'],
    [[file, '--made-up', 'x'], 2, '--made-up takes "remove" or "keep", not "x".'],
    [[file, '--frob'], 2, `There is no option --frob. ${help}`],
    [[file, '--limit'], 2, `--limit needs a value. ${help}`],
    [
      [file, ...at, 'localhost:8787'],
      2,
      `--url takes the worker's address, such as http://localhost:8787, not "localhost:8787".`,
    ],
    [
      [file, ...at, closed.url],
      1,
      /No answer from http:\/\/127\.0\.0\.1:\d+\/health\/live: .*ECONNREFUSED.*"npm run dev"/,
    ],
    [[file, ...at, `http://127.0.0.1:${port}`], 1, /is not Millrace: GET \/health\/live answers HTTP 404/],
    [[join(directory, 'none.csv'), ...at, endpoint.url], 1, /none\.csv cannot be opened: ENOENT/],
    [[directory, ...at, endpoint.url], 1, /is not a file\./],
    [[damaged, ...at, endpoint.url], 1, /The gzip file is damaged or cut off/],
  ];
  const results = await Promise.all(calls.map(([args]) => start(...args).done));
  other.close();
  for (const [index, { code, output }] of results.entries()) {
    const [args, expected, said = ''] = calls[index] ?? [];
    expect(code, args?.join(' ')).toBe(expected);
    if (typeof said === 'string') expect(output.trim()).toBe(said);
    else expect(output.trim()).toMatch(said);
    expect(output).not.toMatch(/^ +at /m);
  }
});

test('the running stack of the state folder is found without --url, and named', {
  timeout: 30_000,
}, async () => {
  const state = join(directory, '.millrace');
  await mkdir(state);
  await writeFile(join(state, 'key'), 'a-key-of-the-development-stack\n');
  const running = lockState(state, { instance: 'this-start', url: endpoint.url });
  const { code, output } = await start(file).done;
  running.release();
  expect({ code, output }).toMatchObject({
    code: 0,
    output: expect.stringContaining(
      `Importing ${file} to ${endpoint.url} (the stack that runs from .millrace/).`,
    ),
  });
  expect(output).toContain('  npm run train -- ranker --publish\n');
  expect(output).toContain(`"Authorization: Bearer $(cat .millrace/key)" "${endpoint.url}/v1/customers/`);
  expect(endpoint.stored.size).toBe(LINES);
  const none = await start(file).done;
  expect(none.output).toContain(
    'to http://127.0.0.1:8787 (the default, since no stack runs from .millrace/).',
  );
});
