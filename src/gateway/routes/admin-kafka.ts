import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { PartitionReport } from '../../pipeline/kafka/source.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';

const Partition = z.object({
  topic: z.string(),
  partition: z.int(),
  committed: z.int().nullable(),
  latest: z.int(),
  lag: z.int().openapi({ description: 'records that are not stored yet' }),
  failures: z.int(),
  lastError: z.string().nullable(),
});

export interface KafkaPorts {
  /** @throws Failure `kafka_unavailable` */
  readonly partitions: () => Promise<PartitionReport[]>;
  /** Starts a reader for each partition that has none, and returns the number of partitions. Safe to repeat. */
  readonly start: () => Promise<number>;
}

/** Shows the position of each Kafka partition, and starts their readers. */
export function registerKafka(app: OpenAPIHono<AppEnv>, _: Gateway, kafkaOf: PortsOf<KafkaPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/kafka',
    summary: 'The partitions that events are read from, and how far behind each is',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: {
        description: 'None where no topics are configured.',
        content: { 'application/json': { schema: z.object({ partitions: z.array(Partition) }) } },
      },
      401: problem('A key is needed.'),
      503: problem('The Kafka REST bridge does not answer.'),
    },
  });
  app.get('/v1/admin/kafka', async (c) => {
    const partitions = await kafkaOf(c).partitions();
    return c.json({ partitions }, 200, { 'cache-control': 'no-store' });
  });

  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/kafka/start',
    summary: 'Begins to read partitions that are not being read, as the cron does each minute',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: { description: 'How many there are.' },
      401: problem('A key is needed.'),
      503: problem('The Kafka REST bridge does not answer.'),
    },
  });
  app.post('/v1/admin/kafka/start', async (c) => c.json({ partitions: await kafkaOf(c).start() }));
}
