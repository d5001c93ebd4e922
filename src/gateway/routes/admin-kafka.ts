import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { type PartitionReport, REPORT_PARTS } from '../../pipeline/kafka/report.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const Partition = z.object({
  topic: z.string(),
  partition: z.int(),
  committed: z.int().nullable(),
  latest: z.int().nullable(),
  lag: z.int().nullable().openapi({ description: 'records that are not stored yet' }),
  failures: z.int().nullable(),
  lastError: z.string().nullable(),
  unanswered: z.array(z.enum(REPORT_PARTS)).openapi({
    description: 'the parts that did not answer within 2 s; what they would have said is null',
  }),
});

const BODY_BYTES_MAX = 4_096;
const Seek = z.strictObject({
  topic: z.string().min(1).max(249),
  partition: z.int().nonnegative(),
  to: z.union([z.enum(['earliest', 'latest']), z.int().nonnegative()]).openapi({
    description: 'the offset of the record to read next, or one end of the partition',
  }),
});

export interface KafkaPorts {
  /** @throws Failure `kafka_unavailable` */
  readonly partitions: () => Promise<PartitionReport[]>;
  /** Starts a reader for each partition that has none, and returns the number of partitions. Safe to repeat. */
  readonly start: () => Promise<number>;
  /**
   * Sets the position of a partition and returns its offset. The reader's next step takes it up.
   *
   * @throws Failure `not_found`, `unprocessable` for an offset outside the partition, `kafka_unavailable`
   */
  readonly seek: (
    at: { readonly topic: string; readonly partition: number },
    to: 'earliest' | 'latest' | number,
  ) => Promise<number>;
}

/** Shows the position of each Kafka partition, and starts their readers. */
export function registerKafka(app: OpenAPIHono<AppEnv>, _: Gateway, kafkaOf: PortsOf<KafkaPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/kafka',
    operationId: 'listKafkaPartitions',
    summary: 'Lists the source partitions with the lag of each',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: json(
        'The list is empty if no topics are configured.',
        z.object({ partitions: z.array(Partition) }),
      ),
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
    operationId: 'startKafkaReaders',
    summary: 'Starts a reader for each partition that has none, as the cron does each minute',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      200: json('The number of partitions.', z.object({ partitions: z.int() })),
      503: problem('The Kafka REST bridge does not answer.'),
    },
  });
  app.post('/v1/admin/kafka/start', async (c) => c.json({ partitions: await kafkaOf(c).start() }));
  registerSeek(app, kafkaOf);
}

function registerSeek(app: OpenAPIHono<AppEnv>, kafkaOf: PortsOf<KafkaPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/kafka/seek',
    operationId: 'seekKafkaPartition',
    summary: 'Sets the position of one partition, for example after its topic was created again',
    tags: ['admin'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Seek } } } },
    responses: {
      202: json(
        'The reader continues at `offset` with its next step.',
        z.object({ topic: z.string(), partition: z.int(), offset: z.int() }),
      ),
      422: problem('The partition does not have this offset.'),
      404: problem('No source topic has this partition.'),
      503: problem('The Kafka REST bridge does not answer.'),
    },
  });
  app.post('/v1/admin/kafka/seek', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { to, ...at } = parsed(Seek, body);
    return c.json({ ...at, offset: await kafkaOf(c).seek(at, to) }, 202);
  });
}
