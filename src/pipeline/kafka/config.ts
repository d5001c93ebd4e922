import * as z from 'zod';
import { parseVars } from '../../platform/vars.ts';

/** The address of the Kafka REST bridge, the topics to read, and the topic to write. */
export interface KafkaConfig {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** The consumer group whose committed offsets record how far this deployment has read. */
  readonly group: string;
  /** Topics that events are read from. */
  readonly sourceTopics: readonly string[];
  /** The topic that changes are written to; undefined if none is configured. */
  readonly sinkTopic: string | undefined;
}

const Topic = z
  .string()
  .regex(/^[a-zA-Z0-9._-]{1,249}$/, 'expected a topic of letters, digits, dots, dashes and underscores');
const Unset = z.literal('').transform(() => undefined);
const KafkaVars = z.object({
  KAFKA_REST_URL: z.union([Unset, z.url()]).optional(),
  KAFKA_REST_USERNAME: z.string().optional(),
  KAFKA_REST_PASSWORD: z.string().optional(),
  KAFKA_GROUP: Topic.default('millrace'),
  KAFKA_SOURCE_TOPICS: z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((topic) => topic.trim())
        .filter((topic) => topic !== ''),
    )
    .pipe(z.array(Topic).max(20)),
  KAFKA_SINK_TOPIC: z.union([Unset, Topic]).optional(),
});

/**
 * Parses the configuration of Kafka; undefined if it is not configured.
 *
 * @throws Error that names the missing or invalid variables, also for an incomplete configuration.
 */
export function kafkaConfig(env: object): KafkaConfig | undefined {
  const vars = parseVars(KafkaVars, env);
  const { KAFKA_REST_URL: url, KAFKA_REST_USERNAME: username, KAFKA_REST_PASSWORD: password } = vars;
  const { KAFKA_SOURCE_TOPICS: sourceTopics, KAFKA_SINK_TOPIC: sinkTopic } = vars;
  if (sourceTopics.length === 0 && sinkTopic === undefined) return undefined;
  if (sinkTopic !== undefined && sourceTopics.includes(sinkTopic))
    throw new Error(
      `KAFKA_SINK_TOPIC is "${sinkTopic}", which is also a source topic: changes that are written to it would be read as events. Name another topic.`,
    );
  const missing = Object.entries({
    KAFKA_REST_URL: url,
    KAFKA_REST_USERNAME: username,
    KAFKA_REST_PASSWORD: password,
  })
    .filter(([, value]) => value === undefined || value === '')
    .map(([name]) => name);
  if (url === undefined || username === undefined || password === undefined || missing.length > 0)
    throw new Error(`The configuration of Kafka is incomplete: set ${missing.join(', ')}, too.`);
  return { url, username, password, group: vars.KAFKA_GROUP, sourceTopics, sinkTopic };
}
