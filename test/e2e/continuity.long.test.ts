/**
 * The drill of docs/continuity.md: a deployment is backed up under load and destroyed, and another one takes its place. It
 * prints what was lost at most (RPO) and how long it took (RTO).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { exportTo } from '../../scripts/backup/export.ts';
import type { Manifest } from '../../scripts/backup/manifest.ts';
import { type RestoringWorker, restoreFrom, verifyRows } from '../../scripts/backup/restore.ts';
import { type BackupSql, withDatabase } from '../../scripts/backup/sql.ts';
import { tableNames } from '../../scripts/backup/tables.ts';
import { featuresOf, fetchArtifact, observed, restoringWorker } from '../../scripts/backup/worker.ts';
import { catalog } from '../support/catalog/index.ts';
import { bought, historyOf } from '../support/forget/customer.ts';
import { expectedSpendBundle } from '../support/models/outside.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

/** Purchases of the history: a day of each customer. */
const DAYS = 360;
const CUSTOMERS = Array.from({ length: 40 }, (_, n) => `c${n}`);
/** Customers that the load buys for; all others stay as they are. */
const BUSY = 3;
const QUIET = 'c4';
const FOLDER = mkdtempSync(join(tmpdir(), 'millrace-drill-'));
const BACKUP = join(FOLDER, 'backup');

let old: Stack | undefined;
let stack: Stack | undefined;
let manifest: Manifest;
afterAll(async () => {
  rmSync(FOLDER, { recursive: true });
  await old?.[Symbol.asyncDispose]();
  await stack?.[Symbol.asyncDispose]();
});

const onSql = <T>({ database }: Stack, work: (sql: BackupSql) => Promise<T>) => withDatabase(database, work);
const workerOf = ({ caller }: Stack) => restoringWorker(caller.client, true);

async function backUp(of: Stack): Promise<Manifest> {
  const observe = () => observed(of.caller.client, catalog.features, Date.now());
  const ports = { observe, fetchArtifact: (sha256: string) => fetchArtifact(of.caller.client, sha256) };
  return await onSql(of, (sql) => exportTo(BACKUP, { sql, catalog, ...ports, onProgress: () => {} }));
}

async function restore(of: Stack, worker: RestoringWorker = workerOf(of)) {
  return await onSql(of, (sql) => restoreFrom(BACKUP, { sql, catalog, worker, onProgress: () => {} }));
}

async function priceOf(of: Stack, sku: string, token?: string): Promise<{ price: unknown; status: number }> {
  const call = token === undefined ? {} : { token };
  const { json, status } = await of.caller.ask('GET', `/v1/products/${sku}`, call);
  return { price: json['unitPrice'], status };
}

async function setPrice(of: Stack, sku: string, unitPrice: number): Promise<string> {
  const json = { description: null, unitPrice };
  const put = async () => await of.caller.ask('PUT', `/v1/products/${sku}`, { json });
  return (await eventually(put, ({ status }) => status === 200 || status === 201)).token;
}

/** What a reader sees of a customer that nobody sends events of. */
async function seen(of: Stack) {
  const { purchases_365d: purchases } = await of.caller.featuresOf('customer', QUIET);
  const { json, status } = await of.caller.ask('GET', `/v1/customers/${QUIET}/expected-spend`);
  const { model, value, degraded } = json;
  return { read: { purchases: purchases?.value, status, model, degraded }, value: Number(value) };
}

/** One event after the other, and a row now and then, until it is ended. */
function lightLoad(on: Stack) {
  const acknowledged: { readonly event: object; readonly id: string; readonly atMs: number }[] = [];
  let isOver = false;
  const running = (async () => {
    for (let n = 0; !isOver; n += 1) {
      const id = `load-${n}`;
      const event = { ...bought(id, `c${n % BUSY}`), time: new Date().toISOString() };
      const { accepted, duplicates } = await on.caller.send([event], { wait: true, isRepeatable: true });
      expect(accepted + duplicates).toBe(1);
      acknowledged.push({ event, id, atMs: Date.now() });
      if (n % 5 === 0) await setPrice(on, `LOAD${n % 3}`, n + 1);
      await sleep(20);
    }
  })();
  return {
    acknowledged,
    end: async () => {
      isOver = true;
      await running;
    },
  };
}

it('restores a destroyed deployment: equal digests, and only what was acknowledged after the backup is missing', async () => {
  old = await startStack({}, { capture: true, existing: historyOf(CUSTOMERS, DAYS) });
  const { caller } = old;
  const purchases = async () => (await caller.featuresOf('customer', QUIET))['purchases_365d']?.value;
  await eventually(purchases, (value) => value === DAYS, 240_000);
  const json = await expectedSpendBundle();
  const published = await caller.ask('PUT', '/v1/admin/models/expected-spend/champion', { json });
  expect(published.status).toBe(201);
  const before = await eventually(
    () => seen(old as Stack),
    ({ read }) => read.status === 200 && read.degraded === undefined,
  );
  expect(before.read.purchases).toBe(DAYS);
  const load = lightLoad(old);
  await eventually(
    async () => load.acknowledged.length,
    (events) => events >= 5,
  );
  const begunAt = performance.now();
  manifest = await backUp(old);
  const exportS = (performance.now() - begunAt) / 1_000;
  const count = load.acknowledged.length;
  await eventually(
    async () => load.acknowledged.length,
    (events) => events >= count + 5,
  );
  await load.end();
  const last = await featuresOf(caller.client);
  const endedAtMs = Date.now();
  await old[Symbol.asyncDispose]();
  old = undefined;

  stack = await startStack({}, { capture: true });
  const restoringAt = performance.now();
  let rebuildS = 0;
  const worker = workerOf(stack);
  const rebuild = async () => {
    const since = performance.now();
    const features = await worker.rebuild();
    rebuildS = (performance.now() - since) / 1_000;
    return features;
  };
  const restored = await restore(stack, { ...worker, rebuild });
  const restoreS = (performance.now() - restoringAt) / 1_000;
  expect(restored.stored).toBe(manifest.stored);
  expect(await onSql(stack, (sql) => verifyRows(manifest, { sql, catalog }))).toBe(manifest.stored);
  const after = await seen(stack);
  expect(after.read).toEqual(before.read);
  // An input of the model is an age, which has grown by minutes.
  expect(Math.abs(after.value - before.value)).toBeLessThan(1);
  expect(await stack.caller.ask('GET', '/v1/admin/audit/verify')).toMatchObject({
    json: { isComplete: true, broken: null },
  });

  // What is missing is exactly what was committed after the moment of the backup.
  const rows = await stack.sql(`select id from millrace.events where source = '/live'`);
  const stored = new Set(rows.map(({ id }) => String(id)));
  const lost = load.acknowledged.filter(({ id }) => !stored.has(id));
  const takenAtMs = Date.parse(manifest.takenAt);
  expect(lost.length).toBeGreaterThanOrEqual(5);
  expect(lost.filter(({ atMs }) => atMs < takenAtMs)).toEqual([]);
  const events = manifest.stores.find(({ name }) => name === 'millrace.events')?.rows ?? 0;
  expect(events).toBe(DAYS * CUSTOMERS.length + stored.size);

  // Whoever still has the events sends them again: none is there twice, and all features are as before the end.
  const again = await stack.caller.send(
    load.acknowledged.map(({ event }) => event),
    { wait: true },
  );
  expect(again).toMatchObject({ accepted: lost.length, duplicates: stored.size });
  await eventually(
    () => featuresOf((stack as Stack).caller.client),
    ({ digest }) => digest === last.digest,
  );
  const per = (seconds: number) => ((seconds / events) * 100_000).toFixed(1);
  console.log(
    `RPO: ${lost.length} of ${load.acknowledged.length} acknowledged events, those of the ${((endedAtMs - takenAtMs) / 1_000).toFixed(1)} s after the backup's moment. ` +
      `Export ${exportS.toFixed(1)} s, RTO ${restoreS.toFixed(1)} s for ${events} events: ${per(exportS)} s and ${per(restoreS)} s for 100,000, of which the features ${per(rebuildS)} s.`,
  );
}, 600_000);

it('serves nothing that was cached before a restore, and refuses the tokens of before', async () => {
  const on = stack as Stack;
  const { price } = await priceOf(on, 'S1');
  const token = await setPrice(on, 'S1', 777);
  await eventually(
    () => priceOf(on, 'S1'),
    (read) => read.price === 777,
  );
  await onSql(on, emptied);
  // Without a new epoch, the answer of before the restore is served: what follows would show it.
  await restore(on, { ...workerOf(on), beginEpoch: async () => '' });
  expect(await priceOf(on, 'S1')).toEqual({ price: 777, status: 200 });
  const begun = await workerOf(on).beginEpoch();
  expect(await priceOf(on, 'S1', begun)).toEqual({ price, status: 200 });
  expect(await priceOf(on, 'S1', token)).toMatchObject({ status: 412 });
}, 300_000);

/** Leaves the database as a new one has it. */
async function emptied(sql: BackupSql): Promise<void> {
  const tables = tableNames(catalog);
  const each = (verb: string) =>
    tables.map((table) => `alter table ${table} ${verb} trigger user;`).join(' ');
  await sql.transaction(
    [each('disable'), `truncate ${tables.join(', ')} restart identity;`, each('enable')].map((text) => ({
      text: `do $do$ begin ${text} end $do$`,
    })),
  );
}
