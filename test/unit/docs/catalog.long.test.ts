import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { fillDatabase } from '../../../scripts/dev/seed.ts';
import type { Catalog } from '../../../src/define/catalog.ts';
import { ANONYMOUS } from '../../../src/define/principal.ts';
import type { Project } from '../../../src/define/project.ts';
import { rank } from '../../../src/inference/rank.ts';
import type { Tensors } from '../../../src/inference/tensors.ts';
import { captureStatements } from '../../../src/storage/postgres/capture.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { blocksOf, ROOT } from './blocks.ts';

const execute = promisify(execFile);
const PAGE = 'docs/catalog.md';
const SOURCES = blocksOf(PAGE).filter(({ language }) => language === 'ts');
const FILE = /^\/\/ src\/catalog\/([\w-]+\.ts)\n/;

let folder = '';
let catalog: Catalog;
let project: Project;
let database: DevDatabase;

/** The blocks as files, in a folder that is ignored by git and as deep as the imports are rewritten for. */
beforeAll(async () => {
  await mkdir(join(ROOT, '.millrace'), { recursive: true });
  folder = await mkdtemp(join(ROOT, '.millrace/docs-'));
  const files = Map.groupBy(SOURCES, ({ text }) => FILE.exec(text)?.[1] ?? '');
  for (const [name, blocks] of files) {
    const text = blocks.map((block) => block.text.replace(FILE, '')).join('\n\n');
    await writeFile(join(folder, name), text.replaceAll("'../define/", "'../../src/define/"));
  }
  // Only those that the page tells a reader to make: `mistakes.ts` is compiled and never loaded.
  ({ catalog } = await import(join(folder, 'index.ts')));
  ({ project } = await import(join(folder, 'project.ts')));
  await execute(
    process.execPath,
    ['scripts/generate.ts', '--tables', join(folder, 'tables.ts'), '--out', join(folder, 'migrations')],
    { cwd: ROOT },
  );
  database = await startDevDatabase({
    ...(await memoryDatabase('none')),
    migrationsDir: join(folder, 'migrations'),
  });
  const { $client } = connect({ url: database.connectionString, endpoint: database.endpoint });
  for (const statement of [
    'create schema crm',
    'create table crm.branches (id text primary key, city text not null)',
    `insert into crm.branches values ('north', 'Oslo')`,
    ...captureStatements({ ...catalog, everything: 'all' }),
  ])
    await $client.query(statement);
  if (project.seed !== undefined) await fillDatabase(database, catalog, project.seed);
});
afterAll(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

describe(PAGE, () => {
  it('names the file of each block', () => {
    expect(SOURCES.length).toBeGreaterThan(15);
    expect(SOURCES.filter(({ text }) => !FILE.test(text)).map(({ line }) => `${PAGE}:${line}`)).toEqual([]);
  });

  it('compiles, and its mistakes do not', async () => {
    const config = join(folder, 'tsconfig.json');
    const options = { types: ['node'], lib: ['ES2024', 'ESNext.Disposable', 'DOM'] };
    await writeFile(
      config,
      JSON.stringify({
        extends: '../../tsconfig.json',
        compilerOptions: options,
        include: ['*.ts'],
        exclude: [],
      }),
    );
    const { stdout } = await execute('node_modules/.bin/tsc', ['-p', relative(ROOT, config)], {
      cwd: ROOT,
    }).catch(({ stdout: errors }: { stdout: string }) => ({ stdout: errors }));
    expect(stdout).toBe('');
  });

  it('declares each kind of thing', () => {
    const { entities, histories, events, views, features, models } = catalog;
    const kinds = [entities, histories, events, views, features, models].map((of) => of.length);
    expect(kinds).toEqual([4, 2, 5, 10, 4, 2]);
  });

  it('has examples that are accepted, in each version', () => {
    const now = Date.UTC(2026, 0, 1);
    for (const event of catalog.events) {
      expect(event.example).toBeDefined();
      expect(event.interpret(event.example, { occurredAt: now, now })).toMatchObject({ ok: true });
    }
    const { desk: _, ...first } = { ...Object(catalog.eventTypes.get('library.loan.v2')?.example) };
    const context = { occurredAt: now, now };
    expect(catalog.eventTypes.get('library.loan.v1')?.interpret(first, context)).toMatchObject({ ok: true });
    expect(
      catalog.eventTypes.get('library.loan.v2')?.interpret({ ...first, desk: 'N', days: 99 }, context),
    ).toMatchObject({ ok: false, reason: 'days_implausible' });
  });

  it('recommends what it declares: not borrowed lately, two of an author, with reasons', async () => {
    const definition = catalog.models.find(({ name }) => name === 'next-books');
    if (definition?.task !== 'ranking') throw new Error('The page declares a ranking.');
    const shelf = ['Austen', 'Austen', 'Austen', 'Austen', 'Woolf'].map((author, at) => ({
      ...{ isbn: `b${at}`, author, loans: 10 - at },
    }));
    const candidates = definition.parseCandidates({ books: shelf });
    const run = async ({ x }: Tensors): Promise<Tensors> => {
      const data = Array.from(x?.data ?? [], Number);
      const scores = Float32Array.from(
        { length: data.length / 2 },
        (_, row) => 2 * (data[row * 2] ?? 0) + (data[row * 2 + 1] ?? 0),
      );
      return { v: { datatype: 'FP32', shape: [scores.length], data: scores } };
    };
    const graph = {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] } as const],
      outputs: [{ name: 'v', datatype: 'FP32', shape: [-1] } as const],
      run,
    };
    const now = Date.now();
    const borrowed = [{ item: 'b0', count: 1, lastAt: now - 86_400_000 }];
    const features = { titles: { value: borrowed, status: 'PRESENT', eventAt: now } } as const;
    const { items } = await rank(
      definition,
      Object({ manifest: {}, graph, candidates }),
      { items: undefined, limit: 10, features, now },
      true,
    );
    expect(items.map(({ item }) => item)).toEqual(['b1', 'b2', 'b4']);
    expect(items.map(({ reasons }) => reasons?.map(({ text }) => text))).toEqual([
      ['Often borrowed', 'By an author whom you have read'],
      ['Often borrowed', 'By an author whom you have read'],
      ['Often borrowed'],
    ]);
  });

  it('returns the stored examples from every view', async () => {
    const db = connect({ url: database.connectionString, endpoint: database.endpoint });
    const isbn = '9780141439518';
    const id = '7d0c4f86-54a1-4f0b-9c53-1f4f9a3d2b10';
    const noValue = { status: 'NOT_FOUND' as const, eventAt: null };
    const features = {
      reader: { loans_30d: { value: 1, ...noValue }, last_loan_at: { value: null, ...noValue } },
    };
    const read = async (name: string, params: unknown, query: unknown = {}) => {
      const view = catalog.views.find((of) => of.name === name);
      if (view === undefined) throw new Error(`There is no view "${name}".`);
      const input = { ...view.params.parse(params), ...view.query.parse(query) };
      const request = { input, variant: { language: 'de' }, principal: ANONYMOUS, now: Date.now(), features };
      return await view.load(db, Object(request));
    };
    const shown = { isbn, title: 'Pride and Prejudice' };
    expect(await read('book', { isbn })).toMatchObject({
      value: { ...shown, loans: 1 },
      tags: [`book:${isbn}`],
    });
    expect(await read('book', { isbn: '9780000000002' })).toMatchObject({ value: null });
    expect(await read('copy', { isbn, number: '01' })).toMatchObject({
      value: { isbn, number: 1, state: 'entliehen', shelf: null },
      tags: [`copy:${isbn},1`],
    });
    expect(await read('book-today', { isbn })).toMatchObject({ value: { isbn, loans: 1 } });
    expect(await read('member', { id: id.toUpperCase() })).toMatchObject({
      value: { name: 'Ada', loans30d: 1 },
    });
    expect(await read('popular-books', { language: 'en' })).toMatchObject({
      value: { books: [{ ...shown, loans: 1 }], next: null },
    });
    expect(await read('popular-books', { language: 'en' }, { atLeast: '2' })).toMatchObject({
      value: { books: [] },
    });
    expect(await read('book-shelves', {})).toMatchObject({
      value: { books: [{ title: shown.title, shelf: 'A3' }] },
    });
    expect(await read('book-search', {}, { q: 'prejudice' })).toMatchObject({ value: { books: [shown] } });
    expect(await read('branch', { id: 'north' })).toMatchObject({ value: { id: 'north', city: 'Oslo' } });
  });
});
