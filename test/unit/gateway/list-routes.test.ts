import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import type { CachedAnswer } from '../../../src/cache/cached-answer.ts';
import { createApp, type GatewayPorts } from '../../../src/gateway/app.ts';
import { cursorKey, signCursors } from '../../../src/gateway/cursors.ts';
import type { ViewPorts } from '../../../src/gateway/routes/views.ts';
import { listKeys } from '../../../src/storage/postgres/api-keys.ts';
import { listAudit } from '../../../src/storage/postgres/audit.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { readLineageEvents } from '../../../src/storage/postgres/lineage-read.ts';
import { recordLineage } from '../../../src/storage/postgres/lineage-runs.ts';
import {
  DEAD_LETTER,
  keepDeadLetters,
  keepRefused,
  listQuarantine,
  type RefusedEvent,
} from '../../../src/storage/postgres/quarantine.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { runsOf } from '../../support/node/part.ts';
import { unlimited } from '../../support/node/unlimited.ts';

/** Pages of every route that lists rows, read while others insert and delete rows. */

const KEY = 'list-routes';
const AUTHORIZED = { authorization: `Bearer ${KEY}` };
const CURSOR_KEY = cursorKey({ deployment: 'lists', apiKeySha256: '' });
const CONTEXT = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} };
const RESIDENTS = 14;
/** A reader that always gets further ends long before. */
const PAGES_MAX = 200;

let database: DevDatabase;
let db: ReturnType<typeof connect>;
beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  // The rounds begin with empty tables, and rows are removed between pages.
  for (const trigger of ['audit_refuse', 'audit_refuse_truncate'])
    await db.execute(sql`alter table millrace.audit_log disable trigger ${sql.identifier(trigger)}`);
});
afterAll(async () => {
  await database.close();
});
beforeEach(async () => {
  await db.execute(sql`truncate products, customers, purchases, millrace.quarantine, millrace.api_keys, millrace.audit_log,
    millrace.lineage_runs, millrace.lineage_events restart identity`);
});

const needless = (): never => {
  throw new Error('A list needs no other ports.');
};
const access = {
  apiKeySha256: createHash('sha256').update(KEY).digest('hex'),
  peekKey: needless,
  findKey: needless,
  noteUse: needless,
  holderOfTicket: needless,
  acceptsTokens: false,
  peekToken: needless,
  verifyToken: needless,
};
const ports: Pick<GatewayPorts, 'access' | 'audit' | 'limits' | 'keys' | 'quarantine' | 'lineage'> = {
  access,
  audit: {
    list: (filter) => listAudit(db, filter),
    ...{ chain: needless, begin: needless, end: needless, open: needless },
  },
  limits: unlimited(),
  keys: {
    list: (page) => listKeys(db, page),
    find: needless,
    create: needless,
    rotate: needless,
    revoke: needless,
  },
  quarantine: {
    list: (filter) => listQuarantine(db, filter),
    find: needless,
    release: needless,
    discard: needless,
    states: needless,
  },
  lineage: {
    runEvents: async (after, limit) =>
      (await readLineageEvents(db, after, limit)).map(({ cursor, run }) => ({
        cursor,
        event: { run: { runId: run.id } } as never,
      })),
    walk: needless,
  },
};
/** Views without a cache: a page that was cached is the page of an earlier moment, which is a correct page, too. */
const views: ViewPorts = {
  ...access,
  noteDeprecated: needless,
  charging: unlimited(),
  cursorKey: CURSOR_KEY,
  load: async (view, request, now) =>
    signCursors(CURSOR_KEY, view, request, await view.load(db, { ...request, now, features: {} })),
  read: async (request): Promise<CachedAnswer> => {
    const { value } = await request.load(0);
    const entry = {
      body: JSON.stringify(value),
      etag: '"1"',
      tagHashes: [],
      epoch: 'e',
      stamp: 0,
      filledAt: 0,
    };
    const source = { hit: false, forward: 'uri-miss', stored: false, collapsed: false } as const;
    const times = { ageS: 0, ttlS: 0, maxAgeS: 0, judgedSeq: 0, mirrorAgeMs: 0 };
    return { entry, source, unverified: undefined, token: undefined, ...times };
  },
};
const app = createApp({
  catalog: FIXTURE.catalog,
  viewsOf: () => views,
  countRequest: () => undefined,
  portsOf: () => new Proxy(ports as GatewayPorts, { get: (of, name) => Reflect.get(of, name) ?? needless() }),
});

const Page = z.looseObject({ next: z.union([z.string(), z.int(), z.null()]) });

async function pageOf(path: string): Promise<z.output<typeof Page>> {
  const response = await app.request(path, { headers: AUTHORIZED }, {}, CONTEXT);
  const body = await response.json();
  expect({ path, status: response.status, body }).toMatchObject({ status: 200 });
  return Page.parse(body);
}

/** Where a row stands: a place of the order, and a number that no other row has. */
interface Place {
  readonly at: number;
  readonly id: number;
}
interface ListRoute {
  readonly path: string;
  /** As the OpenAPI document has it. */
  readonly route: string;
  readonly parameter: 'before' | 'after';
  readonly insert: (places: readonly Place[]) => Promise<unknown>;
  readonly remove: (place: Place) => Promise<unknown>;
  readonly ids: (page: Record<string, unknown>) => readonly number[];
  /** True if a reader gets a page forever, and so ends at the first empty one. */
  readonly isEndless?: true;
}

const rowsOf = (page: Record<string, unknown>, member: string) =>
  z.array(z.record(z.string(), z.unknown())).parse(page[member]);
const digitsOf = (value: unknown) => Number(/\d+$/.exec(String(value))?.[0]);
const refused = (id: number, reason: string): RefusedEvent => ({
  fingerprint: `f${id}`,
  source: '/s',
  eventId: `e${id}`,
  type: 't',
  reason,
  pointer: '',
  detail: '',
  raw: { id },
});
const uuidOf = (id: number) => `00000000-0000-4000-8000-${String(id).padStart(12, '0')}`;
/** Microseconds: thirty places lie within one millisecond, so that a cursor of less precision would skip rows. */
const timeOf = (at: number) => `2026-01-02 03:04:05.000${String(100 + at).padStart(3, '0')}+00`;
const removeQuarantined = ({ id }: Place) =>
  id % 2 === 0
    ? db.execute(sql`delete from millrace.quarantine where fingerprint = ${`f${id}`}`)
    : db.execute(sql`update millrace.quarantine set state = 'discarded' where fingerprint = ${`f${id}`}`);

const LISTS: readonly ListRoute[] = [
  {
    route: '/v1/products',
    path: '/v1/products',
    parameter: 'after',
    insert: (places) =>
      db.execute(
        sql`insert into products (sku, unit_price) select * from jsonb_to_recordset(${JSON.stringify(
          places.map(({ at, id }) => ({ sku: `${String(at).padStart(3, '0')}-${id}`, price: 1 })),
        )}::jsonb) as r(sku text, price numeric)`,
      ),
    remove: ({ at, id }) =>
      db.execute(sql`delete from products where sku = ${`${String(at).padStart(3, '0')}-${id}`}`),
    ids: (page) => rowsOf(page, 'products').map(({ sku }) => digitsOf(sku)),
  },
  {
    route: '/v1/price-list',
    path: '/v1/price-list',
    parameter: 'after',
    insert: (places) =>
      db.execute(
        sql`insert into products (sku, unit_price) select * from jsonb_to_recordset(${JSON.stringify(
          places.map(({ at, id }) => ({ sku: `P${id}`, price: Math.floor(at / 8) + 0.0001 })),
        )}::jsonb) as r(sku text, price numeric)`,
      ),
    remove: ({ id }) => db.execute(sql`delete from products where sku = ${`P${id}`}`),
    ids: (page) => rowsOf(page, 'products').map(({ sku }) => digitsOf(sku)),
  },
  {
    route: '/v1/customers',
    path: '/v1/customers?country=Malta',
    parameter: 'after',
    insert: (places) =>
      db.execute(
        sql`insert into customers (id, country) select * from jsonb_to_recordset(${JSON.stringify(
          places.map(({ at, id }) => ({ id: `c,${String(at).padStart(3, '0')}%${id}`, country: 'Malta' })),
        )}::jsonb) as r(id text, country text)`,
      ),
    remove: ({ at, id }) =>
      db.execute(
        id % 2 === 0
          ? sql`delete from customers where id = ${`c,${String(at).padStart(3, '0')}%${id}`}`
          : sql`update customers set country = 'Spain' where id = ${`c,${String(at).padStart(3, '0')}%${id}`}`,
      ),
    ids: (page) => rowsOf(page, 'customers').map(({ id }) => digitsOf(id)),
  },
  {
    route: '/v1/customers/{id}/purchases',
    path: '/v1/customers/anna/purchases',
    parameter: 'before',
    insert: (places) =>
      db.execute(
        sql`insert into purchases (event_seq, invoice, sku, customer_id, quantity, unit_price, country, occurred_at)
        select id, 'I' || id, 'S', case when customer = 0 then 'anna' else 'bert' end, 1, 1, 'Malta', at
        from jsonb_to_recordset(${JSON.stringify([
          ...places.map(({ at, id }) => ({ id, customer: 0, at: timeOf(Math.floor(at / 4)) })),
          // Rows of another owner at the same times.
          ...places.map(({ at, id }) => ({
            id: 1_000_000 + id,
            customer: 1,
            at: timeOf(Math.floor(at / 4)),
          })),
        ])}::jsonb) as r(id bigint, customer integer, at timestamptz)`,
      ),
    remove: ({ id }) => db.execute(sql`delete from purchases where event_seq = ${id}`),
    ids: (page) => rowsOf(page, 'purchases').map(({ invoice }) => digitsOf(invoice)),
  },
  {
    route: '/v1/admin/quarantine',
    path: '/v1/admin/quarantine?reason=r',
    parameter: 'before',
    insert: (places) =>
      keepRefused(
        db,
        places.map(({ id }) => refused(id, 'r')),
      ),
    remove: removeQuarantined,
    ids: (page) => rowsOf(page, 'events').map(({ eventId }) => digitsOf(eventId)),
  },
  {
    route: '/v1/admin/keys',
    path: '/v1/admin/keys',
    parameter: 'before',
    insert: (places) =>
      db.execute(
        sql`insert into millrace.api_keys (id, name, scopes, hash, created_by)
        select 'k' || id, 'n', array['data:read'], '', '' from jsonb_to_recordset(${JSON.stringify(
          places.map(({ id }) => ({ id })),
        )}::jsonb) as r(id integer)`,
      ),
    remove: ({ id }) => db.execute(sql`delete from millrace.api_keys where id = ${`k${id}`}`),
    ids: (page) => rowsOf(page, 'keys').map(({ id }) => digitsOf(id)),
  },
  {
    route: '/v1/admin/dead-letters',
    path: '/v1/admin/dead-letters',
    parameter: 'before',
    insert: (places) =>
      keepDeadLetters(
        db,
        places.map(({ id }) => refused(id, DEAD_LETTER)),
      ),
    remove: removeQuarantined,
    ids: (page) => rowsOf(page, 'events').map(({ eventId }) => digitsOf(eventId)),
  },
  {
    route: '/v1/admin/audit',
    path: '/v1/admin/audit',
    parameter: 'before',
    insert: (places) =>
      db.execute(
        sql`insert into millrace.audit_log (principal, action, target, detail)
        select 'key:a', 'a', 'a' || id, '{}' from jsonb_to_recordset(${JSON.stringify(
          places.map(({ id }) => ({ id })),
        )}::jsonb) as r(id integer)`,
      ),
    remove: ({ id }) => db.execute(sql`delete from millrace.audit_log where target = ${`a${id}`}`),
    ids: (page) => rowsOf(page, 'entries').map(({ target }) => digitsOf(target)),
  },
  {
    route: '/v1/lineage/events',
    path: '/v1/lineage/events',
    parameter: 'after',
    isEndless: true,
    insert: (places) =>
      recordLineage(
        db,
        places.map(({ id }) => ({
          id: uuidOf(id),
          job: 'ingest',
          subject: '',
          version: '',
          startedAt: timeOf(0),
          windowFrom: timeOf(0),
          windowTo: timeOf(1),
          dueAt: timeOf(2),
          firstSeq: null,
          lastSeq: null,
          counts: {},
        })),
        [],
        0,
      ),
    remove: ({ id }) => db.execute(sql`delete from millrace.lineage_runs where id = ${uuidOf(id)}::uuid`),
    ids: (page) =>
      rowsOf(page, 'events').map(({ run }) => digitsOf(z.object({ runId: z.string() }).parse(run).runId)),
  },
];

/** What happens between two pages. */
const step = fc.record({
  limit: fc.integer({ min: 1, max: 5 }),
  inserts: fc.array(fc.nat(99), { maxLength: 3 }),
  /** Which of the rows that are not residents goes; none if there are fewer. */
  removals: fc.array(fc.nat(12), { maxLength: 2 }),
});

/** Reads all pages. Returns the ids in the order in which they came. */
async function readAll(
  list: ListRoute,
  steps: readonly { limit: number; inserts: number[]; removals: number[] }[],
): Promise<number[]> {
  const passing: Place[] = [];
  let nextId = 10_000;
  const seen: number[] = [];
  let cursor: string | number | null | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const { limit, inserts, removals } = steps[pages] ?? { limit: 5, inserts: [], removals: [] };
    const query = [`limit=${limit}`];
    if (cursor !== undefined) query.push(`${list.parameter}=${encodeURIComponent(String(cursor))}`);
    const page = await pageOf(`${list.path}${list.path.includes('?') ? '&' : '?'}${query.join('&')}`);
    const ids = list.ids(page);
    seen.push(...ids);
    if (page.next === null || (list.isEndless && ids.length === 0)) return seen;
    cursor = page.next;
    for (const at of removals) {
      const [removed] = at < passing.length ? passing.splice(at, 1) : [];
      if (removed !== undefined) await list.remove(removed);
    }
    const added = inserts.map((at) => ({ at, id: nextId++ }));
    if (added.length > 0) await list.insert(added);
    passing.push(...added);
  }
  throw new Error(`The list did not end within ${PAGES_MAX} pages.`);
}

it('every route with a cursor is tried', () => {
  const Operation = z.object({
    parameters: z.array(z.object({ name: z.string(), in: z.string() })).optional(),
  });
  const document = app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: 'Millrace', version: '1' } });
  const withCursor = Object.entries(document.paths ?? {}).flatMap(([path, { get }]) => {
    const parameters = get === undefined ? [] : (Operation.parse(get).parameters ?? []);
    const cursor = parameters.find(
      ({ name, in: place }) => place === 'query' && /^(before|after)$/.test(name),
    );
    return cursor === undefined ? [] : [{ route: path, parameter: cursor.name }];
  });
  // Incidents are in an object, and not in the database: test/workers/alerts.test.ts reads their pages.
  const incidents = { route: '/v1/admin/incidents', parameter: 'before' };
  const tried = [...LISTS.map(({ route, parameter }) => ({ route, parameter })), incidents];
  const byRoute = (one: { route: string }, other: { route: string }) => (one.route < other.route ? -1 : 1);
  expect(withCursor.sort(byRoute)).toEqual(tried.toSorted(byRoute));
});

describe.each(LISTS)('the pages of $route', (list) => {
  it('have every row once that was there all the time, and no row twice', async () => {
    const places = fc.uniqueArray(fc.nat(99), { minLength: RESIDENTS, maxLength: RESIDENTS });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(places, fc.array(step, { maxLength: 12 }), async (residents, steps) => {
        await db.execute(sql`truncate products, customers, purchases, millrace.quarantine, millrace.api_keys, millrace.audit_log,
          millrace.lineage_runs, millrace.lineage_events`);
        round += 1;
        const own = residents.map((at, index) => ({ at, id: 100 * round + index }));
        await list.insert(own);
        const seen = await readAll(list, steps);
        expect(seen.filter((id) => own.some((resident) => resident.id === id)).sort()).toEqual(
          own.map(({ id }) => id).sort(),
        );
        expect(seen).toHaveLength(new Set(seen).size);
      }),
      { numRuns: runsOf(16), seed: 13 },
    );
  });
});
