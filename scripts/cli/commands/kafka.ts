import type { Command } from 'commander';
import { UsageError } from '../../command-line/options.ts';
import { wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';

interface Flags {
  readonly topic?: string;
  readonly partition?: string;
  readonly to?: string;
}

/** `kafka` lists the partitions that are read; `kafka-seek` sets the position of one. */
export function registerKafka(program: Command): void {
  program
    .command('kafka')
    .description('lists the Kafka partitions that are read, with the lag of each')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/kafka');
      const rows = data.partitions.map((of) => [
        of.topic,
        of.partition,
        of.committed,
        of.latest,
        of.lag,
        of.lastError,
      ]);
      cli.table(data, ['topic', 'partition', 'committed', 'latest', 'lag', 'last error'], rows);
    });
  program
    .command('kafka-seek')
    .description('sets the position of one Kafka partition, for example after its topic was created again')
    .option('--topic <topic>', 'a topic of KAFKA_SOURCE_TOPICS')
    .option('--partition <n>', 'the number of the partition, from 0')
    .option('--to <position>', 'earliest or latest, or the offset of the record to read next')
    .action(async ({ topic, partition, to }: Flags, command: Command) => {
      if (topic === undefined || partition === undefined || to === undefined)
        throw new UsageError(
          'Give --topic, --partition and --to, as in `npm run cli -- kafka-seek --topic TOPIC --partition 0 --to earliest`.',
        );
      const body = {
        topic,
        partition: wholeNumberOf('--partition', partition, { min: 0 }),
        to: positionOf(to),
      };
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/admin/kafka/seek', { body, isRepeatable: true });
      cli.print(
        data,
        `Partition ${data.partition} of ${data.topic} is now read from offset ${data.offset}. ` +
          'Events that are stored already are recognised as duplicates.',
      );
    });
}

function positionOf(text: string): 'earliest' | 'latest' | number {
  if (text === 'earliest' || text === 'latest') return text;
  if (/^\d+$/.test(text)) return wholeNumberOf('--to', text, { min: 0 });
  throw new UsageError(`--to takes earliest, latest or the offset of a record, not "${text}".`);
}
