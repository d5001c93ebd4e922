import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { type Graph, NODE_KINDS, NODES_MAX } from '../../operations/lineage/graph.ts';
import { ROOT_KINDS, type RootName } from '../../operations/lineage/root.ts';
import type { RunEvent } from '../../pipeline/lineage/open-lineage.ts';
import { Failure } from '../../platform/failure.ts';
import type { LineageCursor } from '../../storage/postgres/lineage-read.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

/** A walk from a prediction to the sources of its training takes four steps; more steps lead back to known nodes. */
const DEPTH_MAX = 8;
/** The most nodes of one kind next to a node. */
const LIMIT_MAX = 50;
/** An event has about 5 KB. */
const EVENTS_MAX = 200;

const Query = z.object({
  direction: z.enum(['up', 'down', 'both']).default('both').openapi({
    description: '`up`: its inputs; `down`: what was derived from it',
  }),
  depth: z.coerce.number().int().min(1).max(DEPTH_MAX).default(5),
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(10).openapi({
    description: 'the most nodes of one kind next to a node',
  }),
});
const Page = z.object({
  after: z
    .string()
    .regex(/^\d{1,15}\.\d{1,15}$/)
    .default('0.0')
    .openapi({ description: '`next` of the previous page' }),
  limit: z.coerce.number().int().min(1).max(EVENTS_MAX).default(100),
});

const NodeName = z.string().openapi({ description: '`<kind>:<id>`' });
const GraphAnswer = z
  .object({
    root: NodeName,
    nodes: z
      .array(
        z.object({
          id: NodeName,
          kind: z.enum(NODE_KINDS),
          openLineage: z.record(z.string(), z.unknown()).optional(),
          attributes: z.record(z.string(), z.unknown()),
        }),
      )
      .max(NODES_MAX),
    edges: z.array(z.object({ from: NodeName, to: NodeName, relation: z.string() })),
    truncated: z.array(
      z.object({
        node: NodeName,
        direction: z.enum(['up', 'down']),
        kind: z.enum([...NODE_KINDS, 'all']),
        shown: z.int(),
        total: z.int().nullable(),
        atLeast: z.boolean().optional(),
      }),
    ),
  })
  .openapi('Lineage');

export interface LineageWalk {
  readonly directions: readonly ('up' | 'down')[];
  readonly depth: number;
  /** The most nodes of one kind that are shown next to a node. */
  readonly limit: number;
}

export interface LineagePorts {
  /** A page of OpenLineage run events, in the order in which they were written, each with its cursor. */
  readonly runEvents: (
    after: LineageCursor,
    limit: number,
  ) => Promise<readonly { readonly event: RunEvent; readonly cursor: LineageCursor }[]>;
  /** The graph around a node; undefined if the node is unknown, or retention has deleted it. */
  readonly walk: (root: RootName, walk: LineageWalk) => Promise<Graph | undefined>;
}

/** Shows which data were derived from which: as a graph, and as OpenLineage's run events. */
export function registerLineage(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  lineageOf: PortsOf<LineagePorts>,
): void {
  registerRunEvents(app, gateway, lineageOf);
  registerWalk(app, gateway, lineageOf);
}

function registerRunEvents(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  lineageOf: PortsOf<LineagePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/lineage/events',
    operationId: 'listLineageEvents',
    summary: 'Lists OpenLineage 2-0-2 run events in the order in which they were written',
    tags: ['lineage'],
    security: keySecurity,
    request: { query: Page },
    responses: {
      200: json(
        'A page. Continue with `after` set to `next`, also after an empty page.',
        z.object({ events: z.array(z.record(z.string(), z.unknown())), next: z.string() }),
      ),
      503: problem('The database does not answer.'),
    },
  });
  app.get('/v1/lineage/events', gateway.authorize, async (c) => {
    const { after, limit } = parsed(Page, c.req.query());
    const page = await lineageOf(c).runEvents(cursorOf(after), limit);
    const last = page.at(-1)?.cursor;
    const next = last === undefined ? after : `${last.tx}.${last.seq}`;
    const events = page.map(({ event }) => event);
    return c.json({ events, next }, 200, { 'cache-control': 'no-store' });
  });
}

function cursorOf(text: string): LineageCursor {
  const [tx = 0, seq = 0] = text.split('.').map(Number);
  return { tx, seq };
}

function registerWalk(app: OpenAPIHono<AppEnv>, gateway: Gateway, lineageOf: PortsOf<LineagePorts>): void {
  const shared = {
    method: 'get' as const,
    tags: ['lineage'],
    security: keySecurity,
    responses: {
      200: json('Nodes and edges: `to` of an edge was derived from its `from`.', GraphAnswer),
      404: problem('Lineage does not have this node, or no longer has it.'),
      503: problem('The database does not answer.'),
    },
  };
  app.openAPIRegistry.registerPath({
    ...shared,
    path: '/v1/lineage/{kind}/{id}',
    operationId: 'getLineage',
    summary: 'Shows the inputs of a node, and what was derived from it',
    request: {
      params: z.object({
        kind: z.enum(ROOT_KINDS),
        id: z.string().max(1_024).openapi({
          description:
            "an event's number, a run's or a prediction's UUID, `entity:key`, a model's version or SHA-256, a dataset's name",
        }),
      }),
      query: Query,
    },
  });
  app.get('/v1/lineage/:kind/:id', gateway.authorize, async (c) => {
    const kind = ROOT_KINDS.find((known) => known === c.req.param('kind'));
    if (kind === undefined) {
      throw new Failure('invalid_request', `The kind is one of ${ROOT_KINDS.join(', ')}.`, {
        pointer: 'kind',
      });
    }
    const graph = await graphOf(lineageOf(c), { kind, id: c.req.param('id') }, c.req.query());
    return c.json(graph, 200, { 'cache-control': 'no-store' });
  });

  app.openAPIRegistry.registerPath({
    ...shared,
    path: '/v1/lineage/event/{source}/{id}',
    operationId: 'getEventLineage',
    summary: 'Shows the same for an event, by its source and id',
    request: {
      params: z.object({
        source: z.string().max(512).openapi({ description: 'percent-encoded, including slashes' }),
        id: z.string().max(256),
      }),
      query: Query,
    },
  });
  app.get('/v1/lineage/event/:source/:id', gateway.authorize, async (c) => {
    const { source, id } = c.req.param();
    const graph = await graphOf(lineageOf(c), { kind: 'event', source, id }, c.req.query());
    return c.json(graph, 200, { 'cache-control': 'no-store' });
  });
}

async function graphOf(lineage: LineagePorts, root: RootName, query: unknown): Promise<Graph> {
  const { direction, depth, limit } = parsed(Query, query);
  const directions = direction === 'both' ? (['up', 'down'] as const) : [direction];
  const graph = await lineage.walk(root, { directions, depth, limit });
  if (graph !== undefined) return graph;
  throw new Failure('not_found', `Lineage does not have this ${root.kind}, or retention has deleted it.`, {
    pointer: 'id',
  });
}

function parsed<Schema extends z.ZodType>(schema: Schema, query: unknown): z.output<Schema> {
  const result = schema.safeParse(query);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Failure('invalid_request', issue?.message ?? 'A parameter is not valid.', {
    pointer: String(issue?.path[0] ?? ''),
  });
}
