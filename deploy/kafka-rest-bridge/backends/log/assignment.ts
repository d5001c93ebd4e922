import type { TopicPartition } from '../../messages.ts';

/**
 * Assigns the partitions to the members of a group: each partition goes to one member that subscribes to its topic, the
 * one with the fewest partitions so far. The result depends only on the arguments, not on their order.
 */
export function assign(
  members: ReadonlyMap<string, readonly string[]>,
  topics: ReadonlyMap<string, number>,
): Map<string, TopicPartition[]> {
  const names = [...members.keys()].sort();
  const assigned = new Map(names.map((name) => [name, [] as TopicPartition[]]));
  for (const topic of [...topics.keys()].sort()) {
    const subscribed = names.filter((name) => members.get(name)?.includes(topic));
    for (let partition = 0; partition < (topics.get(topic) ?? 0); partition++) {
      let least: TopicPartition[] | undefined;
      for (const name of subscribed) {
        const own = assigned.get(name);
        if (own !== undefined && (least === undefined || own.length < least.length)) least = own;
      }
      least?.push({ topic, partition });
    }
  }
  return assigned;
}
