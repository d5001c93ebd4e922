import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Catalog } from '../../define/catalog.ts';
import { digestText, type ShardDigest } from '../../features/digest.ts';
import { PAGE_EVENTS_MAX, type ReplayPlan } from '../../features/replay.ts';
import { Failure } from '../../platform/failure.ts';
import { Instant } from '../../platform/instant.ts';
import type { HistoryRange } from '../../storage/postgres/history.ts';
import type { Replay } from '../../storage/postgres/replays.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 65_536;
const TYPES_MAX = 32;

const Request = z.strictObject({
  from: Instant.optional(),
  to: Instant.optional(),
  types: z.array(z.string().min(1).max(128)).min(1).max(TYPES_MAX).optional(),
  /** Rebuilds the features from the whole history separately, and then replaces the features that are read. */
  rebuild: z.boolean().default(false),
  /** Restarts an earlier replay of the same range instead of continuing it. */
  restart: z.boolean().default(false),
  /** The most events of this page. */
  limit: z.int().min(1).max(PAGE_EVENTS_MAX).default(PAGE_EVENTS_MAX),
});
type Request = z.output<typeof Request>;

const Digest = z.object({ digest: z.string(), cells: z.int(), events: z.int() });
const Progress = z.object({
  run: z.string(),
  state: z.enum(['opening', 'open', 'flipping', 'done']),
  total: z.int().openapi({ description: 'the events of the range' }),
  replayed: z.int(),
  cursor: z.int(),
  digests: z.object({ before: Digest, after: Digest }).optional().openapi({
    description: 'of the features before and after a rebuild that is done',
  }),
});

const Flipped = z.object({ before: z.custom<ShardDigest>(), after: z.custom<ShardDigest>() });

export interface ReplayPorts {
  readonly find: (id: string) => Promise<Replay | undefined>;
  /** Starts a replay, or restarts it in place of the run `superseded`. */
  readonly start: (id: string, superseded: string | undefined) => Promise<Replay>;
  /** Continues by one page. Safe to repeat. */
  readonly step: (replay: Replay, plan: ReplayPlan) => Promise<void>;
  /** The digest of all features that reads currently use. */
  readonly digest: () => Promise<ShardDigest>;
}

/** Replays history: into the features of a rebuild, or through the `changes` queue. */
export function registerReplay(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  replaysOf: PortsOf<ReplayPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/replay',
    operationId: 'replayHistory',
    summary: 'Processes the next page of a replay of the history, or of a rebuild of the features',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Request } } } },
    responses: {
      200: json('The progress. Repeat the same request until `state` is `done`.', Progress),
      422: problem('An event type is not declared, or a rebuild has a range.'),
      409: problem('Retention has deleted events of the range, or another rebuild was started.'),
      503: problem(
        'The database, a feature shard, the clock or the queue does not answer. Repeat the same request to continue.',
      ),
    },
  });
  app.post('/v1/admin/replay', async (c) => {
    const request = parse(
      gateway.catalog,
      await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] }),
    );
    const replays = replaysOf(c);
    const id = nameOf(request);
    const known = await replays.find(id);
    const range = rangeOf(gateway.catalog, request);
    const before = async () => (known === undefined ? null : describe(known));
    const isRestart = known !== undefined && request.restart;
    const isOver = !isRestart && known?.state === 'done';
    const action = { action: 'history.replay', target: id, detail: request, before, isRestart, isOver };
    const progress = await gateway.auditedSteps(c, action, async () => {
      const replay = known === undefined || isRestart ? await replays.start(id, known?.run) : known;
      await replays.step(replay, { isRebuild: request.rebuild, range, limit: request.limit });
      const result = describe((await replays.find(id)) ?? replay);
      return { result, after: result, isEnd: result.state === 'done' };
    });
    return c.json(progress);
  });

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/features/digest',
    operationId: 'getFeaturesDigest',
    summary: 'A digest of all features; equal features have equal digests',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: json('The digest, and the numbers of cells and of folded events that it covers.', Digest),
    },
  });
  app.get('/v1/admin/features/digest', async (c) => c.json(show(await replaysOf(c).digest())));
}

function parse(catalog: Catalog, json: unknown): Request {
  const body = parsed(Request, json);
  const { from, to, types, rebuild } = body;
  const part = Object.entries({ from, to, types }).find(([, value]) => value !== undefined)?.[0];
  if (rebuild && part !== undefined)
    throw new Failure(
      'unprocessable',
      'A rebuild covers the whole history, because features would lack the rest. Leave out from, to and types.',
      {
        pointer: `/${part}`,
      },
    );
  const unknown = types?.find((type) => !catalog.eventTypes.has(type));
  if (unknown !== undefined)
    throw new Failure(
      'unknown_event_type',
      `The catalog declares no event type "${unknown}"; see /v1/events/types.`,
      { pointer: '/types' },
    );
  return body;
}

/** Requests for the same range share one replay. There is only one rebuild. */
function nameOf({ rebuild, from, to, types }: Request): string {
  return rebuild ? 'rebuild' : JSON.stringify([from ?? null, to ?? null, [...(types ?? [])].sort()]);
}

function rangeOf(catalog: Catalog, { rebuild, from, to, types }: Request): HistoryRange {
  if (!rebuild) return { from, to, types };
  return { types: [...new Set(catalog.features.map(({ eventType }) => eventType))] };
}

function describe({ run, state, total, replayed, cursor, outcome }: Replay): z.input<typeof Progress> {
  const flipped = Flipped.safeParse(outcome);
  const digests = flipped.success
    ? { before: show(flipped.data.before), after: show(flipped.data.after) }
    : undefined;
  return { run, state, total, replayed, cursor, digests };
}

function show(digest: ShardDigest): z.output<typeof Digest> {
  return { digest: digestText(digest), cells: digest.cells, events: digest.events };
}
