import type { Fault } from '../faults.ts';

/** Parts of the project that the schedules need besides `src`. */
export const PARTS = ['durable-objects', 'queues', 'scripts', 'migrations'];

/** Faults that show in almost any schedule. */
const FEW = 20;
/** Faults that need several things to go wrong in one order. */
const MANY = 150;

function fault(name: string, seedsMax: number, file: string, from: string, to: string): Fault {
  return { name, seedsMax, edits: [{ file, from, to }] };
}

const BATCH = 'queues/batch.ts';
const EVENT_STORE = 'src/storage/postgres/event-store.ts';
const VERDICTS = 'src/pipeline/verdicts.ts';

/** Faults that stand, or stood, in pipelines in wide use, and those that this design invites. */
export const FAULTS: readonly Fault[] = [
  fault(
    'a message is acknowledged before its events are committed',
    FEW,
    BATCH,
    'if (parsed.success) valid.push({ message, body: parsed.data });',
    'if (parsed.success && (message.ack(), true)) valid.push({ message, body: parsed.data });',
  ),
  fault(
    'the outbox is written after the transaction of its events',
    MANY,
    EVENT_STORE,
    '    db.execute(insertOutbox(events, batch)),\n    db.execute(pendingOfStored(batch)),\n  ]);',
    '    db.execute(pendingOfStored(batch)),\n  ]);\n  await db.execute(insertOutbox(events, batch));',
  ),
  fault(
    'an event that is there already is announced again',
    FEW,
    EVENT_STORE,
    '::uuid)\n    select e.seq, r.tags',
    '::uuid or true)\n    select e.seq, r.tags',
  ),
  fault(
    'an event is folded as often as it comes',
    FEW,
    'durable-objects/feature-shard/cells.ts',
    'added.delete(seq)',
    'added.delete(seq) || true',
  ),
  fault(
    'the last event is the one that arrives last',
    FEW,
    'durable-objects/feature-shard/cells.ts',
    'last_at = max(last_at, excluded.last_at)',
    'last_at = excluded.last_at',
  ),
  fault(
    'what fails in an outage is counted as a try',
    MANY,
    VERDICTS,
    'if (!(await this.#isOutage(error))) return',
    'if (error !== this.#isOutage) return',
  ),
  fault(
    'one bad event takes its whole message along',
    FEW,
    VERDICTS,
    'this.#calls + 2 > CALLS_MAX ? undefined',
    'this.#calls >= 0 ? undefined',
  ),
  fault(
    'a dead letter that could not be kept is acknowledged',
    MANY,
    BATCH,
    'await ports.keepDead([{ message, detail: reasonOf(error) }]);',
    'await ports.keepDead([{ message, detail: reasonOf(error) }]).catch(() => undefined);',
  ),
  fault(
    'an outage that outlasts the retries of the platform ends messages',
    MANY,
    BATCH,
    'if (message.attempts < RENEW_ATTEMPTS)',
    'if (message.attempts > 0)',
  ),
  fault(
    'the relay marks changes before the queue has them',
    MANY,
    'src/pipeline/relay.ts',
    '  await ports.publish(changes, at);\n  await ports.markRelayed(\n    changes.map(({ outboxId }) => outboxId),\n    at,\n  );\n',
    '  await ports.markRelayed(\n    changes.map(({ outboxId }) => outboxId),\n    at,\n  );\n  await ports.publish(changes, at);\n',
  ),
  fault(
    'a change is skipped whose transaction commits after a later number was relayed',
    MANY,
    'src/storage/postgres/outbox.ts',
    'where o.relayed_at is null\n',
    'where o.relayed_at is null and o.id > (select coalesce(max(id), 0) from millrace.outbox where relayed_at is not null)\n',
  ),
  fault(
    'a rebuild forgets its changed keys before it has invalidated them',
    MANY,
    'src/features/rebuild.ts',
    '      await invalidate(keys.map((key) => featureTag(entity, key)));\n      await shards.settle(shard, keys);',
    '      await shards.settle(shard, keys);\n      await invalidate(keys.map((key) => featureTag(entity, key)));',
  ),
  fault(
    'a day that has not begun is counted in a window',
    FEW,
    'src/features/read.ts',
    'if (bucket > today - days && bucket <= today)',
    'if (bucket > today - days)',
  ),
  fault(
    'what was made from features is not invalidated after the fold',
    FEW,
    'queues/changes/consumer.ts',
    'if (tags.length > 0) await ports.invalidate(tags);',
    'void tags;',
  ),
  fault(
    'an event contradicts another of its batch instead of the stored one',
    MANY,
    'src/pipeline/store.ts',
    '    left = conflicts;',
    '    outcome.conflicts.push(...conflicts);\n    left = [];',
  ),
  fault(
    'the feed is told only where folding has not failed',
    MANY,
    'queues/changes/consumer.ts',
    'await all(foldAndInvalidate(), ports.appendToFeed(changes), ports.enqueueForKafka(changes));',
    'await foldAndInvalidate(); await ports.appendToFeed(changes);',
  ),
];
