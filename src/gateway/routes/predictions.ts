import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { EntityDefinition } from '../../define/entity.ts';
import type { ModelDefinition } from '../../define/model.ts';
import { readFeatures, type ShardPort } from '../../features/store.ts';
import type { LoadedModel } from '../../inference/loaded-models.ts';
import { predictionFacts } from '../../inference/prediction.ts';
import { rank } from '../../inference/rank.ts';
import { inputTensor, TensorRequest } from '../../inference/tensors.ts';
import type { LineageFacts } from '../../pipeline/lineage/recorder.ts';
import { systemNow } from '../../platform/clock.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';
import { newId } from '../../platform/ids.ts';
import type { KeyValues } from '../../storage/postgres/entity-writes.ts';
import { readJson } from '../body.ts';
import { consistencyOf } from '../cached-response.ts';
import { type ChampionPorts, championOf } from '../champion.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 4 * 1024 * 1024;
const ITEMS_MAX = 200;

const EntityRequest = z.strictObject({
  key: z.string().min(1).max(64),
  items: z.array(z.string().min(1).max(64)).min(1).max(ITEMS_MAX).optional(),
});

export interface PredictionPorts extends ChampionPorts {
  readonly shards: Pick<ShardPort, 'read'>;
  /** The positions of the keys that the entity has no row for. */
  readonly missingKeys: (entity: EntityDefinition, keys: readonly KeyValues[]) => Promise<readonly number[]>;
  /** Records a prediction for its lineage. It neither waits nor fails. */
  readonly predicted: (facts: LineageFacts) => void;
}

/** Predicts for an entity, whose features it fetches, or for a tensor as it is. */
export function registerPredictions(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  predictionsOf: PortsOf<PredictionPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/predictions/{model}',
    summary: 'Scores items for an entity by its key, or runs the graph on a tensor',
    tags: ['models'],
    security: keySecurity,
    request: {
      params: z.object({ model: z.string() }),
      body: {
        required: true,
        content: { 'application/json': { schema: z.union([EntityRequest, TensorRequest]) } },
      },
    },
    responses: {
      200: {
        description:
          'Items with scores, or the output tensor; `predictionId` is that of `/v1/lineage/prediction/{id}`.',
      },
      401: problem('A key is needed, unless the model is public.'),
      404: problem('The catalog declares no such model.'),
      422: problem('The tensor does not fit, or an item does not exist.'),
      503: problem('No version has been published, or it cannot be loaded.'),
    },
  });
  app.post('/v1/predictions/:model', async (c) => {
    const ports = predictionsOf(c);
    const definition = gateway.catalog.models.find(({ name }) => name === c.req.param('model'));
    if (definition?.isPublic !== true) gateway.admit(c, { isPublic: false });
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    if (definition === undefined) {
      throw new Failure('unknown_model', `The catalog declares no model "${c.req.param('model')}".`, {
        pointer: 'model',
      });
    }
    const model = await championOf(ports, definition, consistencyOf(c.req.raw));
    const { name, version } = model.manifest;
    const predictionId = newId();
    const answer = isTensorRequest(body)
      ? await runTensor(model, body, predictionId, ports)
      : await scoreItems(definition, model, parseEntityRequest(body), predictionId, ports);
    return c.json({ model: { name, version }, predictionId, ...answer });
  });
}

function isTensorRequest(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'inputs' in body;
}

async function runTensor(
  { graph, manifest }: LoadedModel,
  body: unknown,
  id: string,
  { predicted }: PredictionPorts,
): Promise<object> {
  const { shape, data } = await graph.run(inputTensor(body, graph));
  const outcome = { items: shape[0] ?? 1, source: 'tensor', degraded: undefined } as const;
  predicted(predictionFacts({ id, at: systemNow(), manifest, subject: undefined, outcome }));
  return { outputs: [{ name: graph.output.name, datatype: 'FP32', shape, data: [...data] }] };
}

async function scoreItems(
  definition: ModelDefinition,
  model: LoadedModel,
  { key, items }: z.output<typeof EntityRequest>,
  predictionId: string,
  ports: PredictionPorts,
): Promise<object> {
  await assertItemsExist(definition, model, items ?? [], ports);
  const now = systemNow();
  const [features] = await readFeatures(definition.entity.name, [key], now, ports.shards);
  const ranking = await rank(model, features ?? {}, items, ITEMS_MAX, now);
  ports.predicted(
    predictionFacts({
      id: predictionId,
      at: now,
      manifest: model.manifest,
      subject: { entity: definition.entity.name, key, features: features ?? {} },
      outcome: { items: ranking.items.length, source: ranking.source, degraded: ranking.degraded },
    }),
  );
  return {
    [definition.entity.name]: key,
    items: ranking.items,
    source: ranking.source,
    ...(ranking.degraded === undefined ? {} : { degraded: ranking.degraded }),
  };
}

/** The model knows the items of its training; for newer ones the database is asked. */
async function assertItemsExist(
  { itemEntity }: ModelDefinition,
  { candidates }: LoadedModel,
  items: readonly string[],
  { missingKeys }: PredictionPorts,
): Promise<void> {
  const newer = items.filter((item) => !candidates.has(item));
  const keys = newer.map((item) => itemEntity.key.parse(item));
  const malformed = keys.indexOf(undefined);
  const known = keys.filter((key) => key !== undefined);
  const [missing] = malformed >= 0 ? [malformed] : await missingKeys(itemEntity, known);
  const item = missing === undefined ? undefined : newer[missing];
  if (item === undefined) return;
  throw new Failure('unknown_item', `There is no ${itemEntity.name} "${item}".`, {
    pointer: `/items/${items.indexOf(item)}`,
  });
}

function parseEntityRequest(body: unknown): z.output<typeof EntityRequest> {
  const parsed = EntityRequest.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Failure('invalid_request', issue?.message ?? 'Not a prediction request.', {
    pointer: jsonPointer(issue?.path ?? []),
  });
}
