import * as z from 'zod';
import { readOptions, UsageError } from '../command-line/options.ts';
import { TARGET_OPTIONS } from '../command-line/target.ts';
import { wholeNumberOf } from '../command-line/values.ts';
import { askingOf } from './asking.ts';
import type { CliCommand } from './command.ts';

const Sought = z.object({ topic: z.string(), partition: z.int(), offset: z.int() });

const USAGE = `  kafka-seek         sets the position of one Kafka partition, for example after its topic was created again
    --topic TOPIC    a topic of KAFKA_SOURCE_TOPICS
    --partition N    the number of the partition, from 0
    --to POSITION    earliest or latest, or the offset of the record to read next`;

/** Sets the position from which a partition of Kafka is read on. */
export const kafkaSeekCommand: CliCommand = {
  usage: USAGE,
  run: async (command, args) => {
    const { values } = readOptions({
      command,
      args,
      options: {
        ...TARGET_OPTIONS,
        topic: { type: 'string' },
        partition: { type: 'string' },
        to: { type: 'string' },
      },
    });
    const { topic, partition, to } = values;
    if (topic === undefined || partition === undefined || to === undefined)
      throw new UsageError(
        `Give --topic, --partition and --to, as in \`${command} --topic TOPIC --partition 0 --to earliest\`.`,
      );
    const body = {
      topic,
      partition: wholeNumberOf('--partition', partition, { min: 0 }),
      to: positionOf(to),
    };
    const asking = askingOf(values);
    const sought = Sought.parse(await asking.ask('/v1/admin/kafka/seek', body));
    console.log(
      `Partition ${sought.partition} of ${sought.topic} is now read from offset ${sought.offset}. ` +
        'Events that are stored already are recognised as duplicates.',
    );
  },
};

function positionOf(text: string): 'earliest' | 'latest' | number {
  if (text === 'earliest' || text === 'latest') return text;
  if (/^\d+$/.test(text)) return wholeNumberOf('--to', text, { min: 0 });
  throw new UsageError(`--to takes earliest, latest or the offset of a record, not "${text}".`);
}
