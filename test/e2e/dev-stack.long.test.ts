/**
 * `npm run dev` as a person meets it: other starts beside it, every way to end it, and what is left behind. One scratch
 * folder, three starts; the tests run in their order and build on each other.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { isAlive } from '../../scripts/dev/processes/table.ts';
import { type CommandRun, freePort, outcome, startDev } from '../support/node/dev-process.ts';
import { IS_PART, partOf } from '../support/node/part.ts';
import { eventually } from '../support/node/stack.ts';

const execute = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'millrace-dev-'));
const state = join(folder, 'state');
const other = join(folder, 'other');
const EVENTS = 3_000;
const Running = z.object({ worker: z.object({ pid: z.number() }), instance: z.string() });

let port: number;
let dev: CommandRun;
let text: string;

const start = async () => {
  dev = await startDev('--state', state, '--port', String(port), '--empty');
  text = dev.output();
};
const running = () => Running.parse(JSON.parse(readFileSync(join(state, 'running.json'), 'utf8')));
const isUp = async () =>
  (await fetch(`http://127.0.0.1:${port}/health/live`).catch(() => undefined)) !== undefined;
const key = () => readFileSync(join(state, 'key'), 'utf8').trim();
const stored = async () => {
  const { output } = await outcome(
    'scripts/sql.ts',
    '--state',
    state,
    // Without the changes of rows that events cause.
    "select count(*) from millrace.events where type not like 'millrace.row.%'",
  );
  return Number(output.split('\n')[2]);
};

/** Sends events that are accepted and stored later. */
async function send(count: number): Promise<void> {
  for (let from = 0; from < count; from += 1_000) {
    const events = Array.from({ length: Math.min(1_000, count - from) }, (_, index) => ({
      specversion: '1.0',
      type: 'shop.purchase.v1',
      source: '/dev-stack',
      id: `queued-${from + index}`,
      data: {
        invoice: 'Q1',
        sku: `Q-${index % 50}`,
        quantity: 1,
        unitPrice: 1,
        customerId: 'q',
        country: 'France',
      },
    }));
    const response = await fetch(`http://127.0.0.1:${port}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key()}`, 'content-type': 'application/cloudevents-batch+json' },
      body: JSON.stringify(events),
    });
    expect(response.status).toBe(202);
  }
}

beforeAll(async () => {
  port = await freePort();
  await start();
});
afterAll(async () => {
  dev?.child.kill('SIGKILL');
  await dev?.exited;
  rmSync(folder, { recursive: true, force: true });
});

describe('beside a stack that runs', () => {
  it('shows its instance id in /health/live, and records it', async () => {
    const live = await (await fetch(`http://127.0.0.1:${port}/health/live`)).json();
    expect(live).toEqual({ status: 'ok', instance: running().instance });
  });

  it('prints lines that work each time: an event is stored, one answer fresh, one a hit', async () => {
    const lines = text.split('\n').filter((line) => line.startsWith('  curl '));
    expect(lines).toHaveLength(7);
    for (const _ of [1, 2]) {
      const answers: string[] = [];
      for (const line of lines) answers.push((await execute('sh', ['-c', line])).stdout);
      const [first, second, , , event, fresh, untouched] = answers;
      for (const sent of [first, second, event]) expect(sent).toMatch(/^HTTP\/1.1 201 [\s\S]*"accepted":1/);
      expect(fresh).toMatch(/cache-status: .*(fwd=stale|hit)/i);
      expect(untouched).toMatch(/cache-status: .*; hit/i);
      const units = (answer: string | undefined) => Number(/"units":(\d+)/.exec(answer ?? '')?.[1]);
      expect(units(fresh)).toBe(units(answers[2]) + 3);
      expect(units(untouched)).toBe(units(answers[3]));
    }
  });

  it('refuses --fresh of its folder in a second shell, and deletes nothing', async () => {
    const before = await stored();
    const { code, output } = await outcome(
      'scripts/dev.ts',
      '--state',
      state,
      '--fresh',
      '--port',
      String(port + 1),
    );
    expect(output).toContain(`${state}/ is in use by the Millrace stack of process ${dev.child.pid}`);
    expect(output).toContain(`kill ${dev.child.pid}`);
    expect(code).toBe(1);
    expect(await stored()).toBe(before);
    expect(before).toBeGreaterThan(0);
  });

  it('reports at once which process holds the port', async () => {
    const { code, output } = await outcome('scripts/dev.ts', '--state', other, '--port', String(port));
    expect(output).toContain(`Port ${port} is taken by another Millrace stack: process ${dev.child.pid}`);
    expect(code).toBe(1);
  });

  it('is found by the other commands without --url', async () => {
    const { code, output } = await outcome('scripts/cli.ts', 'digest', '--state', state);
    expect(output).toMatch(/^[0-9a-f]+ {2}\d+ cells/);
    expect(code).toBe(0);
  });

  it('is backed up by a command, equals its backup, and is not restored over', async () => {
    const backup = join(folder, 'backup');
    const run = async (...args: string[]) => await outcome('scripts/cli.ts', ...args, '--state', state);
    const exported = await run('export', '--to', backup);
    expect(exported.output).toMatch(/\d+ rows of \d+ tables and \d+ artifacts in [\d,]+ bytes, as of 2/);
    expect(await run('restore', '--from', backup, '--verify')).toEqual({
      ...{ code: 0, output: expect.stringContaining('The digests of the deployment are equal.') },
    });
    expect(await run('restore', '--from', backup)).toEqual({
      ...{ code: 1, output: expect.stringMatching(/^not_empty: .*millrace\.events/m) },
    });
  });
});

describe('an end', () => {
  it.skipIf(IS_PART)(
    'by Ctrl-C stores the accepted events first, and stops every process',
    async () => {
      const before = await stored();
      const { worker } = running();
      await send(EVENTS);
      dev.child.kill('SIGINT');
      // npm passes on a Ctrl-C that the terminal has sent already.
      dev.child.kill('SIGINT');
      expect(await dev.exited).toBe(0);
      expect(dev.output()).toContain('Stopped. The data is kept in');
      expect(dev.output()).not.toContain('lost');
      expect(await isUp()).toBe(false);
      expect(isAlive(-worker.pid)).toBe(false);
      await start();
      expect(await stored()).toBe(before + EVENTS);
    },
    200_000,
  );

  it.skipIf(IS_PART)(
    'by SIGKILL of the command and its supervisor leaves an orphan, which the next start stops',
    async () => {
      const { worker } = running();
      // The leader of the group is the supervisor. It would end the group when the command is gone, and the command would
      // when the supervisor is: so neither may run while the other is killed. What is left ends by itself once it prints
      // something that nobody reads; while it is stopped it can neither print nor answer.
      process.kill(-worker.pid, 'SIGSTOP');
      dev.child.kill('SIGKILL');
      await dev.exited;
      process.kill(worker.pid, 'SIGKILL');
      expect(isAlive(-worker.pid)).toBe(true);
      await start();
      expect(text).toContain(
        `ended the worker of an earlier start, which was left behind (process group ${worker.pid}`,
      );
      expect(text).toContain('the last stack did not drain its queues');
      expect(running().worker.pid).not.toBe(worker.pid);
    },
    200_000,
  );

  it('by SIGKILL of the command alone stops every process', async () => {
    const { worker } = running();
    dev.child.kill('SIGKILL');
    await dev.exited;
    await eventually(
      async () => [await isUp(), isAlive(-worker.pid)],
      ([answers, lives]) => answers === false && lives === false,
      30_000,
    );
  });
});

describe('a damaged state folder', () => {
  /** A start on a copy of the folder after some damage. It ends before anything listens. */
  const startDamaged = async (damage: (copy: string) => void) => {
    const copy = join(folder, 'damaged');
    rmSync(copy, { recursive: true, force: true });
    cpSync(state, copy, { recursive: true });
    rmSync(join(copy, 'running.json'), { force: true });
    damage(copy);
    const { code, output } = await outcome('scripts/dev.ts', '--state', copy, '--port', String(port));
    expect(code).toBe(1);
    expect(output).not.toMatch(/^\s+at /m);
    return output;
  };

  const DAMAGES: [string, string, string, RegExp][] = [
    ['an empty key', 'key', '', /key is damaged: it is empty. Delete it/],
    ['a key of white space', 'key', ' \n\t\n', /key is damaged: it is empty. Delete it/],
    ['garbage in the key', 'key', '\u0000\u0001 zz', /key is damaged: it is not one word/],
    ['an unreadable record', 'state.json', '{"version":1,', /state.json is damaged: .*--fresh/],
    ['an empty claim', 'database', '', /database is damaged: .*--fresh/],
    [
      'a truncated control file',
      'postgres/global/pg_control',
      '',
      /Postgres in .* is damaged: .*pg_control.*--fresh/,
    ],
  ];
  it.each(partOf(DAMAGES, 6))('%s is reported with a remedy', async (_, file, content, message) => {
    expect(await startDamaged((copy) => writeFileSync(join(copy, file), content))).toMatch(message);
  });

  it('without its Postgres is not seeded again while the old features exist', async () => {
    const output = await startDamaged((copy) => rmSync(join(copy, 'postgres'), { recursive: true }));
    expect(output).toMatch(/has features and caches .* its Postgres is missing .*--fresh/);
  });

  it.skipIf(IS_PART)(
    'with the Postgres of another folder is refused',
    async () => {
      const output = await startDamaged((copy) => {
        const path = join(copy, 'state.json');
        const record = z.looseObject({}).parse(JSON.parse(readFileSync(path, 'utf8')));
        writeFileSync(path, JSON.stringify({ ...record, postgres: '1' }));
      });
      expect(output).toMatch(/is not the database that the features and caches .* belong to/);
    },
    60_000,
  );

  it.skipIf(IS_PART)(
    'reports a Postgres that does not open',
    async () => {
      const output = await startDamaged((copy) =>
        truncateSync(join(copy, 'postgres/global/pg_control'), 100),
      );
      expect(output).toMatch(/The Postgres in .* does not open .*--fresh/);
    },
    60_000,
  );
});
