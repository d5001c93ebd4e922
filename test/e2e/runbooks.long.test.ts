/** The commands of the runbooks, each run against a worker, so that whoever is woken finds that they work. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startCli } from '../support/node/cli.ts';
import { partOf } from '../support/node/part.ts';
import { type Stack, startStack } from '../support/node/stack.ts';

const RUNBOOKS = join(import.meta.dirname, '../../docs/runbooks');
const CLI = 'npm run cli -- ';
/** Commands that say what is wrong by their exit code: the stack of a test has no cron and no Kafka. */
const MAY_FIND_FAULTS = new Set(['doctor']);

/** The lines of blocks of shell, each once. */
const commands = [
  ...new Set(
    readdirSync(RUNBOOKS).flatMap((name) =>
      [...readFileSync(join(RUNBOOKS, name), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(
        ([, block = '']) => block.split('\n').filter((line) => line !== ''),
      ),
    ),
  ),
].sort();

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

it('are commands of npm run cli', () => {
  expect(commands.length).toBeGreaterThan(8);
  expect(commands.filter((command) => !command.startsWith(CLI))).toEqual([]);
});

it.each(partOf(commands, 3))('%s', async (command) => {
  const args = command.slice(CLI.length).split(' ');
  const { text, code } = await startCli(stack.url.origin, ...args).ended;
  expect([text, code]).toEqual([text, MAY_FIND_FAULTS.has(args[0] ?? '') ? expect.any(Number) : 0]);
  expect(text).not.toBe('');
  // 2 is a wrong call, 3 no worker, 4 a refusal, 5 not there yet.
  expect(code).toBeLessThan(2);
});
