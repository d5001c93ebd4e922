import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import { candidatesOf, completionScript } from '../../../scripts/cli/completion.ts';
import { dependenciesOf, skewCheck, versionCheck } from '../../../scripts/cli/doctor.ts';
import { EXIT, NotReachable, outcomeOf } from '../../../scripts/cli/exit-codes.ts';
import { createProgram } from '../../../scripts/cli/program.ts';
import { UsageError } from '../../../scripts/command-line/options.ts';
import {
  DeadlineError,
  ProblemError,
  UnexpectedAnswerError,
  UnreachableError,
} from '../../../src/client/index.ts';

const URL_OPTION = { url: 'http://127.0.0.1:1' };
const problem = (status: number, code: 'unauthorized' | 'not_found' | 'database_unavailable') =>
  new ProblemError(
    { ...{ type: 't', title: 't', status, code, detail: 'The reason.', requestId: 'r' } },
    'trace',
    undefined,
  );

describe('the exit code', () => {
  it.each([
    [new UsageError('u'), EXIT.usage],
    [new NotReachable('n'), EXIT.notReachable],
    [new DeadlineError('d', 't'), EXIT.notReachable],
    [new UnexpectedAnswerError('x', 200, 't'), EXIT.notReachable],
    [problem(401, 'unauthorized'), EXIT.refused],
    [problem(404, 'not_found'), EXIT.refused],
    [problem(503, 'database_unavailable'), EXIT.failed],
    [new Error('The bundle was refused.', { cause: problem(401, 'unauthorized') }), EXIT.refused],
    [new Error('No worker answers.', { cause: new UnreachableError('u', 't') }), EXIT.notReachable],
    [new Error('other'), EXIT.failed],
  ])('of %s is %i', (error, code) => {
    expect(outcomeOf(error, URL_OPTION).code).toBe(code);
  });

  it('comes with a line that names the worker', () => {
    expect(outcomeOf(problem(404, 'not_found'), URL_OPTION).message).toBe(
      'The worker at http://127.0.0.1:1 answered 404 not_found: The reason.',
    );
    expect(outcomeOf(problem(401, 'unauthorized'), URL_OPTION).message).toContain('refuses this key');
  });
});

it('ends without an error when the reader of its output has enough, as `head` has', async () => {
  const child = spawn(process.execPath, ['scripts/cli.ts', '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect([errors, code]).toEqual(['', EXIT.ok]);
});

describe('a number on the command line', () => {
  const commands = [
    ['events', 'tail', '--limit=N'],
    ['audit', 'list', '--limit=N'],
    ['audit', 'list', '--before=N'],
    ['audit', 'verify', '--hash', 'a', '--from=N'],
    ['keys', 'rotate', 'an-id', '--overlap=N'],
    ['kafka-seek', '--topic', 't', '--to', 'earliest', '--partition=N'],
    ['replay', '--rate=N'],
    ['quarantine', 'list', '--limit=N'],
    ['dead-letters', 'list', '--limit=N'],
    ['quarantine', 'show', '--', 'N'],
    ['quarantine', 'discard', '--reason', 'r', '--', '1', 'N'],
    ['quarantine', 'release', '--', '1', 'N'],
  ];
  const absurd = ['1.5', '1e2', '0x10', '+1', '-1', ' 1', '', 'NaN', 'Infinity', '99999999999999999999'];

  it.each(commands)('%s %s is refused in another form, before anything is asked', async (...words) => {
    for (const text of absurd) {
      const args = words.map((word) => word.replace(/(?<==|^)N$/, text));
      const run = createProgram('/folder').parseAsync(['--url', URL_OPTION.url, '--key', 'k', ...args], {
        from: 'user',
      });
      await expect(run, args.join(' ')).rejects.toThrow(UsageError);
    }
  });

  it('is the value of every option that takes one', () => {
    const numeric: string[] = [];
    const collect = (command: Command, path: string) => {
      for (const { long, flags } of command.options)
        if (/<(n|seconds)>/.test(flags)) numeric.push(`${path} ${long}`.trim());
      for (const inner of command.commands) collect(inner, `${path} ${inner.name()}`.trim());
    };
    collect(createProgram('/folder'), '');
    const tested = commands.map((words) => words.join(' '));
    for (const option of numeric) {
      const [, command = '', name = ''] = /^(.*) (--\S+)$/.exec(option) ?? [];
      const isTested = tested.some((line) => line.startsWith(command) && line.includes(`${name}=N`));
      expect(isTested, option).toBe(true);
    }
    expect(numeric).toContain('events tail --limit');
  });
});

const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A folder with these files. */
function bundleOf(files: Readonly<Record<string, string>>): string {
  const made = mkdtempSync(join(folder, 'bundle-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(made, name), text);
  return made;
}

describe('what names nothing', () => {
  const call = (...args: string[]) =>
    createProgram('/folder')
      .parseAsync(['--url', URL_OPTION.url, '--key', 'k', ...args], { from: 'user' })
      .then(
        () => ({ code: EXIT.ok, message: '' }),
        (error: unknown) => outcomeOf(error, URL_OPTION),
      );

  it.each([
    [['events', 'send', '/no/such/file'], '/no/such/file cannot be read: ENOENT'],
    [['events', 'send', '/'], '/ is a folder'],
    [
      ['quarantine', 'release', '1', '--event', '/no/such/file'],
      '--event names /no/such/file, which cannot be read',
    ],
    [['quarantine', 'release', '1', '--event', import.meta.filename], 'which is not JSON'],
    [['keys', 'revoke', ''], 'The parameter "id"'],
    [['keys', 'rotate', '..'], 'The parameter "id"'],
    [['events', 'status', '', 'a'], 'The parameter "source"'],
    [
      ['models', 'push', 'm', '/no/such/folder'],
      'is not the folder of a bundle: manifest.json cannot be read',
    ],
    [['models', 'push', 'm', bundleOf({ 'manifest.json': '{' })], 'manifest.json is not JSON'],
    [['models', 'push', 'm', bundleOf({ 'manifest.json': '{}' })], 'golden.json cannot be read'],
    [
      ['models', 'push', 'm', bundleOf({ 'manifest.json': '{}', 'golden.json': '1', 'model.onnx': 'x' })],
      'expected string, received undefined (at /manifest/name)',
    ],
  ])('%j is called wrongly, in one line', async (args, message) => {
    const outcome = await call(...args);
    expect(outcome).toEqual({ code: EXIT.usage, message: expect.stringContaining(message) });
    expect(outcome.message).not.toContain('\n');
  });
});

describe('completion', () => {
  const program = createProgram('/folder');

  it('offers commands, subcommands and options', () => {
    expect(candidatesOf(program, ['ev'])).toEqual(['events']);
    expect(candidatesOf(program, ['events', ''])).toEqual(['send', 'status', 'tail', 'types']);
    expect(candidatesOf(program, ['events', 'send', '--w'])).toEqual(['--wait']);
    expect(candidatesOf(program, ['events', 'send', '--j'])).toEqual(['--json']);
    expect(candidatesOf(program, ['nothing', 'x'])).toEqual([]);
    expect(candidatesOf(program, [])).toContain('status');
  });

  it('is a script that the shell accepts, whatever the folder is called', () => {
    const script = completionScript('bash', "/a folder's");
    execFileSync('bash', ['-n', '-c', script]);
    expect(execFileSync('bash', ['-c', `${script}\ntype -t millrace`]).toString()).toBe('function\n');
  });
});

describe('doctor', () => {
  it('says what to do about a dependency that is away', () => {
    expect(
      dependenciesOf({ status: 'unavailable', checks: { database: 'unavailable', clock: 'ok' } }),
    ).toEqual([
      {
        name: 'database',
        verdict: 'fail',
        detail: 'unavailable',
        advice: expect.stringContaining('DATABASE_URL'),
      },
      { name: 'clock', verdict: 'ok', detail: 'answers' },
    ]);
    expect(dependenciesOf('<html>')).toEqual([]);
  });

  it('compares the clocks and the versions of the worker and of this machine', () => {
    expect(skewCheck(2_000).verdict).toBe('ok');
    expect(skewCheck(-60_000)).toMatchObject({ verdict: 'warn', detail: expect.stringContaining('60.0 s') });
    expect(skewCheck(undefined).verdict).toBe('warn');
    const { detail } = versionCheck({ version: '0.0.0', migration: '0000_old' });
    const [, version = '', migration = ''] = /this command line (\S+) with (\S+)$/.exec(detail) ?? [];
    expect(versionCheck({ version, migration }).verdict).toBe('ok');
    expect(versionCheck({ version, migration: '9999_later' })).toMatchObject({
      verdict: 'warn',
      advice: expect.stringContaining('npm run deploy'),
    });
  });
});
