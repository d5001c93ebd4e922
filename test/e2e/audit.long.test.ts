import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { expectedSpendBundle, moodBundle } from '../support/models/outside.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

const JSON_TYPE = 'application/json';
async function send(method: string, path: string, body?: unknown, key = KEY, type = JSON_TYPE) {
  const sent = typeof body === 'string' ? { body } : { json: body };
  return await stack.caller
    .as(key)
    .ask(method, path, body === undefined ? {} : { ...sent, contentType: type });
}
const Entry = z.object({
  id: z.number(),
  principal: z.string(),
  action: z.string(),
  target: z.string(),
  outcome: z.string(),
  detail: z.unknown(),
  begun: z.number().nullable(),
  before: z.unknown(),
  after: z.unknown(),
});
const entries = async (query = '') =>
  z.array(Entry).parse((await send('GET', `/v1/admin/audit?limit=200${query}`)).json['entries']);

/** Withholds nothing: it begins far in the future. */
const quiet = (path: string) =>
  send('POST', `/v1/admin/${path}`, {
    matchers: [{ label: 'peer', value: 'kafka' }],
    startsAt: '2098-12-30T00:00:00Z',
    endsAt: '2098-12-31T00:00:00Z',
    comment: 'a test',
  });

const Issued = z.object({ key: z.string() });
const OPERATOR = { name: 'operator', scopes: ['operations:read', 'operations:write'] };
/** The principal of a key that a test has made. */
const OTHER_KEY: unknown = expect.stringMatching(/^key:(?!bootstrap)/);

const openIncident = () => send('POST', '/v1/admin/incidents', { title: 'a test', severity: 'ticket' });

const SHA256 = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
const TRAINING = '0b1f7a52-6c6e-4a39-9a53-9a4f6c4d1c11';

const ROLLOUT_STARTED = {
  ...{ action: 'model.rollout', target: 'expected-spend', outcome: 'done' },
  after: { stage: 'shadow', share: 0 },
};

/** A request to every route of /v1/admin that changes something, and what the audit log has of it then. */
const ACTIONS: readonly {
  readonly route: string;
  readonly ask: () => Promise<{ readonly status: number }>;
  readonly recorded: readonly object[];
}[] = [
  {
    route: 'POST /v1/admin/cache/purge',
    ask: () => send('POST', '/v1/admin/cache/purge', { tags: ['product:1', 'product:2'] }),
    recorded: [
      { action: 'cache.purge', target: 'product:1 product:2', outcome: 'begun' },
      { action: 'cache.purge', outcome: 'done', after: { token: expect.any(String) } },
    ],
  },
  ...(['silences', 'maintenance'] as const).flatMap((path) => {
    const kind = path === 'silences' ? 'silence' : path;
    return [
      {
        route: `POST /v1/admin/${path}`,
        ask: () => quiet(path),
        recorded: [{ action: `${kind}.create`, outcome: 'done', before: null, after: { kind } }],
      },
      {
        route: `DELETE /v1/admin/${path}/{id}`,
        ask: async () => send('DELETE', `/v1/admin/${path}/${(await quiet(path)).json['id']}`),
        recorded: [
          { action: `${kind}.create`, outcome: 'done' },
          { action: `${kind}.end`, outcome: 'done', before: { kind }, after: { kind } },
        ],
      },
    ];
  }),
  {
    route: 'POST /v1/admin/alerts/test',
    ask: () => send('POST', '/v1/admin/alerts/test'),
    recorded: [{ action: 'alerts.test', outcome: 'done' }],
  },
  {
    route: 'POST /v1/admin/incidents',
    ask: () => openIncident(),
    recorded: [{ action: 'incident.open', outcome: 'done', after: { severity: 'ticket' } }],
  },
  ...Object.entries({
    acknowledge: {},
    notes: { text: 'n' },
    resolve: { text: 'r' },
    severity: { severity: 'page' },
  }).map(([verb, body]) => ({
    route: `POST /v1/admin/incidents/{id}/${verb}`,
    ask: async () => send('POST', `/v1/admin/incidents/${(await openIncident()).json['id']}/${verb}`, body),
    recorded: [
      { action: 'incident.open', outcome: 'done' },
      { action: `incident.${verb === 'notes' ? 'note' : verb}`, outcome: 'done', before: { state: 'open' } },
    ],
  })),
  {
    route: 'PUT /v1/admin/phases/{phase}',
    ask: async () => {
      await switchPhase('pipeline', 'degraded');
      return await switchPhase('pipeline', 'on');
    },
    recorded: [
      { action: 'phase.switch', target: 'pipeline', outcome: 'begun', before: { state: 'on' } },
      { action: 'phase.switch', outcome: 'done', after: { state: 'degraded', reason: 'a test' } },
      { action: 'phase.switch', outcome: 'begun', before: { state: 'degraded' } },
      { action: 'phase.switch', outcome: 'done', after: { state: 'on' } },
    ],
  },
  {
    route: 'POST /v1/admin/phases/{phase}/approve',
    ask: async () => {
      // There is no history of six months, so the gates of inference do not hold.
      const { key } = Issued.parse((await send('POST', '/v1/admin/keys', OPERATOR)).json);
      await switchPhase('inference', 'degraded');
      await switchPhase('inference', 'on');
      await switchPhase('inference', 'on', { override: true }, key);
      return await send('POST', '/v1/admin/phases/inference/approve');
    },
    recorded: [
      { action: 'key.create', outcome: 'done' },
      { action: 'phase.switch', target: 'inference', outcome: 'begun' },
      { action: 'phase.switch', outcome: 'done', after: { state: 'degraded', asked: null } },
      { action: 'phase.switch', outcome: 'begun' },
      { action: 'phase.switch', outcome: 'failed', after: { code: 'phase_gates_closed' } },
      { action: 'phase.switch', principal: OTHER_KEY, outcome: 'begun', detail: { override: true } },
      { action: 'phase.switch', principal: OTHER_KEY, outcome: 'done', after: { state: 'degraded' } },
      { action: 'phase.approve', outcome: 'begun', before: { asked: { by: OTHER_KEY } } },
      { action: 'phase.approve', outcome: 'done', after: { state: 'on', approvedBy: 'key:bootstrap' } },
    ],
  },
  {
    route: 'POST /v1/admin/outbox/sweep',
    ask: () => send('POST', '/v1/admin/outbox/sweep'),
    recorded: [
      { action: 'outbox.sweep', outcome: 'begun' },
      { action: 'outbox.sweep', outcome: 'done', after: { relayed: 0 } },
    ],
  },
  {
    route: 'POST /v1/admin/features/backfill',
    ask: () => send('POST', '/v1/admin/features/backfill'),
    recorded: [
      { action: 'features.backfill', target: 'features', outcome: 'begun' },
      { action: 'features.backfill', outcome: 'done', after: { backfill: null } },
    ],
  },
  {
    route: 'POST /v1/admin/lineage/sweep',
    ask: () => send('POST', '/v1/admin/lineage/sweep'),
    recorded: [
      { action: 'lineage.sweep', outcome: 'begun' },
      { action: 'lineage.sweep', outcome: 'done', after: expect.any(Object) },
    ],
  },
  {
    route: 'POST /v1/admin/kafka/start',
    ask: () => send('POST', '/v1/admin/kafka/start'),
    recorded: [
      { action: 'kafka.start', outcome: 'begun' },
      { action: 'kafka.start', outcome: 'done', after: { partitions: 0 } },
    ],
  },
  {
    route: 'POST /v1/admin/kafka/seek',
    ask: () => send('POST', '/v1/admin/kafka/seek', { topic: 't', partition: 3, to: 'latest' }),
    recorded: [
      { action: 'kafka.seek', target: 't/3', outcome: 'begun', before: { offset: null } },
      { action: 'kafka.seek', target: 't/3', outcome: 'failed', after: { code: 'not_found' } },
    ],
  },
  {
    route: 'POST /v1/admin/replay',
    // A replay of several requests, and one more that finds it done.
    ask: async () => {
      let page = await send('POST', '/v1/admin/replay', { rebuild: true });
      while (page.json['state'] !== 'done') page = await send('POST', '/v1/admin/replay', { rebuild: true });
      return await send('POST', '/v1/admin/replay', { rebuild: true });
    },
    recorded: [
      { action: 'history.replay', target: 'rebuild', outcome: 'begun', before: null },
      {
        ...{ action: 'history.replay', target: 'rebuild', outcome: 'done' },
        after: { state: 'done', total: 0, replayed: 0 },
      },
    ],
  },
  {
    route: 'POST /v1/admin/forget',
    ask: async () => {
      const ask = () => send('POST', '/v1/admin/forget', { entity: 'customer', key: 'nobody' });
      let page = await ask();
      while (page.json['state'] !== 'done') page = await ask();
      return page;
    },
    recorded: [
      { action: 'entity.list', outcome: 'begun' },
      { action: 'entity.list', outcome: 'done', after: { state: 'done', total: 0 } },
    ],
  },
  {
    route: 'POST /v1/admin/quarantine/release',
    ask: () => send('POST', '/v1/admin/quarantine/release', { ids: [901, 977] }),
    recorded: [
      { action: 'quarantine.release', target: '901,977', outcome: 'begun', before: { 901: 'open' } },
      { action: 'quarantine.release', outcome: 'done', after: expect.any(Array) },
    ],
  },
  {
    route: 'POST /v1/admin/quarantine/discard',
    ask: () => send('POST', '/v1/admin/quarantine/discard', { ids: [901, 977], reason: 'a test' }),
    recorded: [
      { action: 'quarantine.discard', outcome: 'done', before: { 901: 'open' }, after: { 901: 'discarded' } },
    ],
  },
  {
    route: 'POST /v1/admin/dead-letters/replay',
    ask: () => send('POST', '/v1/admin/dead-letters/replay', { ids: [902] }),
    recorded: [
      { action: 'dead-letter.replay', target: '902', outcome: 'begun', before: { 902: 'open' } },
      { action: 'dead-letter.replay', outcome: 'done', after: [{ id: 902, outcome: 'not_a_message' }] },
    ],
  },
  {
    route: 'PUT /v1/admin/models/{model}/trainings/{id}',
    ask: () => send('PUT', `/v1/admin/models/mood/trainings/${TRAINING}`, { state: 'START' }),
    recorded: [
      { action: 'training.report', target: `mood/${TRAINING}`, outcome: 'begun' },
      { action: 'training.report', outcome: 'done', after: { state: 'RUNNING' } },
    ],
  },
  {
    route: 'PUT /v1/admin/artifacts/{sha256}',
    ask: () => send('PUT', `/v1/admin/artifacts/${SHA256}`, 'hello', KEY, 'application/octet-stream'),
    recorded: [
      { action: 'artifact.upload', target: SHA256, outcome: 'begun' },
      { action: 'artifact.upload', outcome: 'done', after: { bytes: 5 } },
    ],
  },
  {
    route: 'PUT /v1/admin/models/{model}/champion',
    ask: () => moodBundle().then((bundle) => send('PUT', '/v1/admin/models/mood/champion', bundle)),
    recorded: [
      {
        ...{ action: 'model.publish', target: 'mood', outcome: 'done', before: { version: null } },
        after: { version: expect.any(String), revision: 1 },
      },
    ],
  },
  {
    route: 'POST /v1/admin/models/{model}/versions',
    ask: () => register(1),
    recorded: [{ action: 'model.register', outcome: 'done', after: { model: 'expected-spend' } }],
  },
  {
    route: 'PUT /v1/admin/models/{model}/aliases/{alias}',
    ask: () => name(1),
    recorded: [
      { action: 'model.set', target: 'expected-spend', before: { version: null }, after: { revision: 1 } },
    ],
  },
  {
    route: 'POST /v1/admin/models/{model}/rollback',
    ask: async () => {
      await register(2);
      await name(2);
      return await send('POST', `${SPEND}/rollback`, { alias: 'shadow' });
    },
    recorded: [
      { action: 'model.register', outcome: 'done' },
      { action: 'model.set', outcome: 'done', after: { revision: 2 } },
      { action: 'model.rollback', outcome: 'done', after: { revision: 3 } },
    ],
  },
  {
    route: 'POST /v1/admin/datasets',
    ask: () => createDataset(),
    recorded: [
      { action: 'dataset.create', target: 'ranker', outcome: 'begun' },
      { action: 'dataset.create', outcome: 'done', after: { id: expect.any(String) } },
    ],
  },
  {
    route: 'DELETE /v1/admin/datasets/{id}',
    ask: async () => send('DELETE', `/v1/admin/datasets/${(await createDataset()).json['id']}`),
    recorded: [
      { action: 'dataset.create', target: 'ranker', outcome: 'begun' },
      { action: 'dataset.create', outcome: 'done' },
      { action: 'dataset.delete', outcome: 'begun' },
      { action: 'dataset.delete', outcome: 'done', after: { state: 'deleting' } },
    ],
  },
  {
    route: 'POST /v1/admin/models/{model}/versions/{version}/retire',
    ask: async () => {
      const { manifest } = await spendBundle(2);
      return await send('POST', `${SPEND}/versions/${manifest.version}/retire`);
    },
    recorded: [{ action: 'model.retire', outcome: 'done', after: { retiredAt: expect.any(String) } }],
  },
  {
    route: 'POST /v1/admin/models/{model}/rollout',
    ask: async () => {
      await register(3);
      await register(4);
      await send('PUT', `${SPEND}/aliases/champion`, { version: (await spendBundle(3)).manifest.version });
      return await startRollout();
    },
    recorded: [
      { action: 'model.register', outcome: 'done' },
      { action: 'model.register', outcome: 'done' },
      { action: 'model.promote', outcome: 'done' },
      ROLLOUT_STARTED,
    ],
  },
  {
    route: 'POST /v1/admin/models/{model}/rollout/abort',
    ask: () => send('POST', `${SPEND}/rollout/abort`),
    recorded: [
      {
        ...{ action: 'model.rollout', outcome: 'done' },
        ...{ before: { stage: 'shadow', share: 0 }, after: { stage: 'rolled_back', share: 0 } },
      },
    ],
  },
  {
    route: 'POST /v1/admin/models/{model}/rollout/approve',
    ask: async () => {
      await startRollout();
      // As the object leaves a rollout that another person started and that has seen everything.
      await stack.sql(
        `update millrace.model_rollouts set stage = 'waiting', evidence = jsonb_set(evidence, '{startedBy}', '"key:x"')
         where id = (select max(id) from millrace.model_rollouts)`,
      );
      return await send('POST', `${SPEND}/rollout/approve`);
    },
    recorded: [
      ROLLOUT_STARTED,
      { action: 'model.rollout', outcome: 'done', after: { stage: 'champion', share: 100 } },
      { action: 'model.promote', outcome: 'done', after: { revision: 2 } },
    ],
  },
];

const switchPhase = (phase: string, state: string, more = {}, key?: string) =>
  send('PUT', `/v1/admin/phases/${phase}`, { state, reason: 'a test', ...more }, key);
const startRollout = async () =>
  send('POST', `${SPEND}/rollout`, { version: (await spendBundle(4)).manifest.version });
const createDataset = () =>
  send('POST', '/v1/admin/datasets', { model: 'ranker', asOf: '2026-01-01T00:00:00Z' });
const SPEND = '/v1/admin/models/expected-spend';
/** A version of its own for each number. */
const spendBundle = (number: number) => expectedSpendBundle({ fallback: { value: number, doubled: number } });
const register = async (number: number) => await send('POST', `${SPEND}/versions`, await spendBundle(number));
const name = async (number: number) =>
  await send('PUT', `${SPEND}/aliases/shadow`, { version: (await spendBundle(number)).manifest.version });

const KEY_ROUTES = ['POST /v1/admin/keys', 'POST /v1/admin/keys/{id}/rotate', 'DELETE /v1/admin/keys/{id}'];

it('every route of /v1/admin that changes something is tried', async () => {
  const Paths = z.record(z.string(), z.record(z.string(), z.unknown()));
  const paths = Paths.parse((await send('GET', '/openapi.json')).json['paths']);
  const changing = Object.entries(paths)
    .filter(([path]) => path.startsWith('/v1/admin/'))
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`))
    .filter((route) => !route.startsWith('GET '));
  expect(changing.sort()).toEqual([...ACTIONS.map(({ route }) => route), ...KEY_ROUTES].sort());
});

it.each(ACTIONS)('$route leaves its entries', async ({ ask, recorded }) => {
  await stack.sql(
    `insert into millrace.quarantine (id, fingerprint, reason, pointer, detail, raw)
     values (901, 'f1', 'r', '', '', '{}'), (902, 'f2', 'dead_letter', '', '', '{"v":9}') on conflict do nothing`,
  );
  const [newest] = await entries();
  await ask();
  // An action on alerts is recorded after its answer.
  const added = await eventually(
    async () => (await entries()).filter(({ id }) => id > (newest?.id ?? 0)).reverse(),
    (found) => found.length >= recorded.length,
  );
  expect(added).toMatchObject(recorded.map((entry) => ({ principal: 'key:bootstrap', ...entry })));
  const [first, second] = added;
  if (first?.outcome === 'begun') expect(second?.begun).toBe(first.id);
});

it('a change of a key names the key that made it, with its state before and after', async () => {
  const Issued = z.object({ id: z.string(), key: z.string() });
  const create = async (key?: string) =>
    Issued.parse((await send('POST', '/v1/admin/keys', { name: 'n', scopes: ['keys:write'] }, key)).json);
  const admin = await create();
  const { id } = await create(admin.key);
  expect((await send('POST', `/v1/admin/keys/${id}/rotate`, { overlapS: 60 }, admin.key)).status).toBe(200);
  expect((await send('DELETE', `/v1/admin/keys/${id}`, undefined, admin.key)).status).toBe(204);
  const own = (await entries(`&principal=key:${admin.id}`)).filter(({ target }) => target === id).reverse();
  const rotated = { revokedAt: null, previousUntil: expect.any(String) };
  expect(own).toMatchObject([
    { action: 'key.create', outcome: 'done', before: null, after: { name: 'n', revokedAt: null } },
    { action: 'key.rotate', outcome: 'done', before: { previousUntil: null }, after: rotated },
    { action: 'key.revoke', outcome: 'done', before: rotated, after: { revokedAt: expect.any(String) } },
  ]);
  expect(JSON.stringify(own)).not.toContain('mlr_');
});

it('a replay that fails, is started again or is continued by another key says so', async () => {
  const Issued = z.object({ id: z.string(), key: z.string() });
  const scopes = ['operations:write'];
  const other = Issued.parse((await send('POST', '/v1/admin/keys', { name: 'n', scopes })).json);
  const range = { from: '2026-01-01T00:00:00Z' };
  const replay = (over: object, key?: string) => send('POST', '/v1/admin/replay', { ...range, ...over }, key);
  const [newest] = await entries();
  await replay({});
  await replay({ restart: true });
  let page = await replay({}, other.key);
  while (page.json['state'] !== 'done') page = await replay({});
  await stack.sql(`insert into millrace.pruned (target, rows, until) values ('events:a.b.v1', 5, now())`);
  expect((await replay({ restart: true })).status).toBe(409);
  await stack.sql('delete from millrace.pruned');
  const added = (await entries()).filter(({ id }) => id > (newest?.id ?? 0)).reverse();
  const [first, , second, third] = added.map(({ id }) => id);
  expect(added.map(({ principal, outcome, begun }) => [principal, outcome, begun])).toEqual([
    ['key:bootstrap', 'begun', null],
    ['key:bootstrap', 'failed', first],
    ['key:bootstrap', 'begun', null],
    [`key:${other.id}`, 'begun', null],
    [`key:${other.id}`, 'done', third],
    ['key:bootstrap', 'done', second],
    ['key:bootstrap', 'begun', null],
    ['key:bootstrap', 'failed', expect.any(Number)],
  ]);
  expect(added.at(-1)?.after).toEqual({ code: 'history_pruned' });
});

it('is verified in steps, and shows an entry that was changed', async () => {
  const Verdict = z.object({
    checked: z.number(),
    verifiedTo: z.object({ id: z.number(), hash: z.string() }),
    isComplete: z.boolean(),
    broken: z.unknown(),
  });
  const verify = async (query: string) => (await send('GET', `/v1/admin/audit/verify?${query}`)).json;
  const [newest] = await entries();
  let step = Verdict.parse(await verify('limit=7'));
  let steps = 1;
  while (!step.isComplete) {
    const { id, hash } = step.verifiedTo;
    step = Verdict.parse(await verify(`limit=7&from=${id}&hash=${hash}`));
    expect(step.broken).toBe(null);
    steps += 1;
  }
  expect(step.verifiedTo.id).toBe(newest?.id);
  expect(steps).toBe(Math.ceil((newest?.id ?? 0) / 7));
  expect(await verify('from=3')).toMatchObject({ code: 'unprocessable', pointer: 'hash' });
  await stack.sql('alter table millrace.audit_log disable trigger audit_refuse');
  await stack.sql(`update millrace.audit_log set principal = 'key:nobody' where id = 2`);
  await stack.sql('alter table millrace.audit_log enable trigger audit_refuse');
  expect(await verify('')).toMatchObject({
    checked: 1,
    isComplete: false,
    broken: { id: 2, reason: 'content' },
  });
});

it('an action that cannot be recorded does not happen', async () => {
  await stack.stopDatabase();
  const purged = await send('POST', '/v1/admin/cache/purge', { everything: true });
  expect([purged.status, purged.json['code']]).toEqual([503, 'database_unavailable']);
});
