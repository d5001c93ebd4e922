import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Catalog } from '../../define/catalog.ts';
import { Found, totalOf } from '../../operations/erasure/found.ts';
import { ERASURE_STATES } from '../../operations/erasure/step.ts';
import type { Subject } from '../../operations/erasure/subject.ts';
import { Failure } from '../../platform/failure.ts';
import { ERASURE_MODES, type Erasure, type ErasureMode } from '../../storage/postgres/erasures.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { EntityKey } from '../entity-key.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 16_384;

const Request = z.strictObject({
  entity: z.string().min(1).max(64),
  key: EntityKey,
  mode: z.enum(ERASURE_MODES).default('list').openapi({
    description:
      '`list`: counts what there is. `erase`: removes it. `verify`: looks again at what an erasure should have removed',
  }),
  /** Begins again, in place of an earlier request with the same mode. */
  restart: z.boolean().default(false),
});

const ByName = z.record(z.string(), z.int());
const Progress = z.object({
  run: z.string(),
  mode: z.enum(ERASURE_MODES),
  state: z.enum(ERASURE_STATES),
  examined: z.int().openapi({ description: 'the events that were examined' }),
  cursor: z
    .int()
    .openapi({ description: 'the number of the last event that was examined, while it is `events`' }),
  last: z.int().openapi({ description: 'the number of the last event to examine' }),
  total: z.int().openapi({ description: 'what was found or removed, over all places' }),
  found: z.object({
    events: ByName.openapi({ description: 'events that name the entity, by type' }),
    byValue: z.int().openapi({
      description: 'those of them that the catalog cannot interpret, and that have the key as a value',
    }),
    rows: ByName.openapi({ description: 'rows of histories, by table' }),
    entityRow: z.int(),
    removals: z.int(),
    quarantine: z.int(),
    predictions: z.int(),
    mentions: z.int(),
    served: z
      .int()
      .openapi({ description: 'lines of the log of served predictions, and trials made of them' }),
    features: z.int().openapi({ description: 'rows with cells of its features' }),
    outbox: z.int(),
    datasets: z.array(z.string()).openapi({ description: 'datasets that may have its events' }),
  }),
  models: z
    .array(z.object({ model: z.string(), version: z.string(), training: z.string() }))
    .openapi({ description: 'versions whose training may have learned from its events' }),
  others: z.boolean().openapi({
    description: 'whether features of other keys count its events; an erasure then rebuilds the features',
  }),
});

export interface ErasureRoutePorts {
  /** The id by which searches for a subject are known. It does not show the key. */
  readonly identify: (subject: Subject) => Promise<string>;
  readonly find: (id: string, mode: ErasureMode) => Promise<Erasure | undefined>;
  /** Begins one, in place of the attempt `superseded`. */
  readonly start: (id: string, mode: ErasureMode, superseded: string | undefined) => Promise<Erasure>;
  /** Takes the next step. Safe to repeat. */
  readonly step: (erasure: Erasure, subject: Subject) => Promise<void>;
}

/** Searches for the data of one row of an entity in all places, and erases them. */
export function registerForget(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  erasuresOf: PortsOf<ErasureRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/forget',
    operationId: 'forgetEntity',
    summary: 'Takes the next step of a search for the data of one row of an entity, or of their erasure',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Request } } } },
    responses: {
      200: json('The progress. Repeat the same request until `state` is `done`.', Progress),
      409: problem(
        'Other rows refer to the row of the entity, or retention has deleted events that features of other keys need.',
      ),
      422: problem('The catalog declares no such entity, or the key is none of it.'),
      503: problem(
        'The database, a feature shard, the clock, the relay or the object with the datasets does not answer. Repeat the same request to continue.',
      ),
    },
  });
  app.post('/v1/admin/forget', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { entity, key, mode, restart } = parsed(Request, body);
    const subject = subjectOf(gateway.catalog, entity, key);
    const erasures = erasuresOf(c);
    const id = await erasures.identify(subject);
    const known = await erasures.find(id, mode);
    const isRestart = known !== undefined && restart;
    const isOver = !isRestart && known?.state === 'done';
    // The log is never deleted, so its entries name the entity and not the key.
    const action = { action: `entity.${mode}`, target: `${entity}/${id}`, detail: { entity, mode } };
    const progress = await gateway.auditedSteps(c, { ...action, isRestart, isOver }, async () => {
      const erasure = known === undefined || isRestart ? await erasures.start(id, mode, known?.run) : known;
      await erasures.step(erasure, subject);
      const result = shown((await erasures.find(id, mode)) ?? erasure);
      return { result, after: result, isEnd: result.state === 'done' };
    });
    return c.json(progress);
  });
}

function subjectOf(catalog: Catalog, name: string, sent: z.output<typeof EntityKey>): Subject {
  const entity = catalog.entities.find((one) => one.name === name);
  if (entity === undefined)
    throw new Failure('unknown_entity', `The catalog declares no entity "${name}".`, { pointer: '/entity' });
  const values = entity.key.parse(sent);
  if (values === undefined)
    throw new Failure('unprocessable', `This is not a key of "${name}".`, { pointer: '/key' });
  return { entity, key: entity.key.textOf(values), values };
}

function shown({ run, mode, state, examined, cursor, lastSeq, found }: Erasure): z.input<typeof Progress> {
  const all = Found.parse(found);
  const { events, byValue, rows, entityRow, removals, quarantine, predictions, mentions } = all;
  const { served, features, outbox, datasets, models, hasFedOthers } = all;
  return {
    ...{ run, mode, state: z.enum(ERASURE_STATES).parse(state), examined, cursor, last: lastSeq },
    total: totalOf(all),
    found: {
      ...{ events, byValue, rows, entityRow, removals, quarantine, predictions, mentions },
      ...{ served, features, outbox, datasets },
    },
    ...{ models, others: hasFedOthers },
  };
}
