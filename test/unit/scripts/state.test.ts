import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sqliteFault } from '../../../scripts/dev/state/damage.ts';
import { deleteData, makeStateFolder } from '../../../scripts/dev/state/folder.ts';
import { lockState, runningStack, StateInUse } from '../../../scripts/dev/state/lock.ts';
import { assertSameDatabase } from '../../../scripts/dev/state/record.ts';
import { lossOf } from '../../../scripts/dev/stopping.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-state-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the lock of a state folder', () => {
  const claim = { instance: 'one', url: 'http://127.0.0.1:1' };

  it('has one owner at a time', () => {
    const lock = lockState(folder, claim);
    expect(() => lockState(folder, claim)).toThrow(StateInUse);
    expect(runningStack(folder)?.url).toBe(claim.url);
    lock.release();
    expect(runningStack(folder)).toBeUndefined();
    expect(lockState(folder, claim).abandoned).toBeUndefined();
  });

  it('is taken over from an owner that ended, even if another process has its id', () => {
    const owner = { pid: process.pid, startedAt: 'another moment' };
    const left = { version: 1, owner, instance: 'old', url: 'http://127.0.0.1:2' };
    writeFileSync(join(folder, 'running.json'), JSON.stringify(left));
    expect(lockState(folder, claim).abandoned?.instance).toBe('old');
  });

  it('is taken over if its record is damaged', () => {
    writeFileSync(join(folder, 'running.json'), '{"ver');
    expect(lockState(folder, claim).abandoned).toBeUndefined();
    expect(runningStack(folder)?.instance).toBe('one');
  });
});

it('--fresh deletes what a stack wrote, and nothing else', () => {
  for (const name of ['postgres', 'worker', 'models', 'mine']) mkdirSync(join(folder, name));
  deleteData(folder);
  expect(['postgres', 'worker', 'models', 'mine'].filter((name) => existsSync(join(folder, name)))).toEqual([
    'models',
    'mine',
  ]);
});

it('a state folder that is a file is refused with a remedy', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => makeStateFolder(join(folder, 'file'))).toThrow(/cannot be used: .*--state/);
  expect(() => makeStateFolder(join(folder, 'file', 'below'))).toThrow(/a part of its path is a file/);
});

describe('the database of a state folder', () => {
  const record = { version: 1, seed: 'none', hadEvents: true, isUndrained: false, postgres: '1' } as const;

  it('is the one that its features were made from', () => {
    expect(() => assertSameDatabase('s', record, { postgres: '1', hasEvents: true })).not.toThrow();
    expect(() => assertSameDatabase('s', record, { postgres: '2', hasEvents: true })).toThrow(/belong to/);
    expect(() => assertSameDatabase('s', record, { postgres: '1', hasEvents: false })).toThrow(/no events/);
    const filling = { ...record, seed: 'filling' } as const;
    expect(() => assertSameDatabase('s', filling, { postgres: '1', hasEvents: true })).toThrow(/in part/);
  });
});

it('finds truncated SQLite files', () => {
  const header = new Uint8Array(100);
  header.set(new TextEncoder().encode('SQLite format 3\0'));
  const view = new DataView(header.buffer);
  view.setUint16(16, 4_096);
  view.setUint32(28, 10);
  expect(sqliteFault(header, 40_960, false)).toBeUndefined();
  expect(sqliteFault(header, 8_192, false)).toContain('8192 of its 40960 bytes');
  // The pages that are missing may be in the write-ahead log.
  expect(sqliteFault(header, 8_192, true)).toBeUndefined();
  expect(sqliteFault(new Uint8Array(100), 8_192, false)).toBe('it is not a SQLite database');
});

it('reports what is lost with the queues, and how to recover it', () => {
  expect(lossOf({ events: 1_200, changes: 1, sink: 0 })).toBe(
    '1,200 accepted events not stored and lost: send them again, duplicates are recognised. ' +
      '1 change not folded: the next start folds them.',
  );
  expect(lossOf(undefined)).toContain('are lost');
});
