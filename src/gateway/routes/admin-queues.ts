import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { COUNTED_QUEUES, type QueuedItems } from '../../pipeline/backlog.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity } from '../openapi.ts';

export interface QueuePorts {
  /** Items that are queued and not handled yet; undefined where one isolate cannot know it. */
  readonly queued: () => QueuedItems | undefined;
}

const Queued = z.object({
  items: z.record(z.enum(COUNTED_QUEUES), z.int()).nullable().openapi({
    description: 'By queue: events and changes that are queued, being handled or waiting for a retry.',
  }),
});

/** Shows what the local queues hold, so that a stop can wait for it. */
export function registerQueues(app: OpenAPIHono<AppEnv>, _: Gateway, portsOf: PortsOf<QueuePorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/queues',
    operationId: 'getQueueDepths',
    summary:
      'Counts the items that the queues of the local stack hold; null on Cloudflare, whose dashboard shows them',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: json('Counts.', Queued),
    },
  });
  app.get('/v1/admin/queues', (c) => {
    const answer: z.output<typeof Queued> = { items: portsOf(c).queued() ?? null };
    return c.json(answer, 200, { 'cache-control': 'no-store' });
  });
}
