import type { Fault } from '../faults.ts';

/** Parts of the project that the schedules need besides `src`. */
export const PARTS = ['durable-objects', 'queues', 'scripts', 'migrations'];

/** Faults that almost any schedule finds. */
const FEW = 20;
/** Faults that need several things to go wrong in one order. */
const MANY = 150;
/** Faults that need a crash between two calls of many. */
const RARE = 600;

function fault(name: string, seedsMax: number, file: string, from: string, to: string): Fault {
  return { name, seedsMax, edits: [{ file, from, to }] };
}

const BATCH = 'queues/batch.ts';
const EVENT_STORE = 'src/storage/postgres/event-store.ts';
const VERDICTS = 'src/pipeline/verdicts.ts';

const RETENTION = 'src/features/retention.ts';
const UPKEEP = 'durable-objects/feature-shard/upkeep.ts';
const REBUILD = 'durable-objects/feature-shard/rebuild.ts';

/** Faults that widely used pipelines have or had, and faults that are easy to make in this design. */
export const FAULTS: readonly Fault[] = [
  fault(
    'a message is acknowledged before its events are committed',
    FEW,
    BATCH,
    'if (parsed.success) valid.push({ message, body: parsed.data });',
    'if (parsed.success && (message.ack(), true)) valid.push({ message, body: parsed.data });',
  ),
  fault(
    'the outbox row is written after the transaction of its event',
    MANY,
    EVENT_STORE,
    '    ...others.map((statement) => db.execute(statement)),\n  ]);',
    '    ...others.toSpliced(-2, 1).map((statement) => db.execute(statement)),\n  ]);\n  await db.execute(insertOutbox(events, batch));',
  ),
  fault(
    'a duplicate event gets a second outbox row',
    FEW,
    EVENT_STORE,
    'freshEvents(batch)}\n    order by e.seq',
    'sql.raw("join millrace.events e on e.source = r.m_source and e.id = r.m_id")}\n    order by e.seq',
  ),
  fault(
    'an event is folded each time it is delivered',
    FEW,
    'durable-objects/feature-shard/generation.ts',
    'ofBlock.filter(({ seq }) => addNumber(bitmap, seq))',
    'ofBlock.filter(({ seq }) => addNumber(bitmap, seq) || true)',
  ),
  fault(
    'the event that arrives last counts as the last that happened',
    FEW,
    'src/features/fold.ts',
    'lastAt: Math.max(a.lastAt, b.lastAt)',
    'lastAt: b.lastAt',
  ),
  fault(
    'a failure during an outage counts as a try',
    MANY,
    VERDICTS,
    'if (!(await this.#isOutage(error))) return',
    'if (error !== this.#isOutage) return',
  ),
  fault(
    'one bad event fails its whole message',
    FEW,
    VERDICTS,
    'if (halves === undefined || !this.#budget.take(2)) {',
    'if (halves !== undefined || !this.#budget.take(2)) {',
  ),
  fault(
    'a message is acknowledged although its dead letter could not be stored',
    MANY,
    BATCH,
    'await ports.keepDead([{ message, detail: reasonOf(error) }]);',
    'await ports.keepDead([{ message, detail: reasonOf(error) }]).catch(() => undefined);',
  ),
  fault(
    'messages are lost in an outage that lasts longer than the platform retries',
    MANY,
    BATCH,
    'if (message.attempts < RENEW_ATTEMPTS)',
    'if (message.attempts > 0)',
  ),
  fault(
    'the relay marks changes before the queue has them',
    MANY,
    'src/pipeline/relay.ts',
    '    await steps.publish(traced, at);\n    await steps.markRelayed(\n      traced.map(({ outboxId }) => outboxId),\n      at,\n    );\n',
    '    await steps.markRelayed(\n      traced.map(({ outboxId }) => outboxId),\n      at,\n    );\n    await steps.publish(traced, at);\n',
  ),
  fault(
    'the relay skips a change whose transaction commits after a later number was relayed',
    MANY,
    'src/storage/postgres/outbox.ts',
    'where o.relayed_at is null\n',
    'where o.relayed_at is null and o.id > (select coalesce(max(id), 0) from millrace.outbox where relayed_at is not null)\n',
  ),
  {
    ...fault(
      'a rebuild forgets its changed keys before it has invalidated them',
      RARE,
      'src/features/rebuild.ts',
      '      const at = await invalidate(keys.map((key) => featureTag(entity, key)));\n      await shards.settle(shard, keys, at);',
      '      await shards.settle(shard, keys, await invalidate([]));\n      await invalidate(keys.map((key) => featureTag(entity, key)));',
    ),
    firstSeed: 421,
  },
  fault(
    'a window counts a day that has not begun',
    FEW,
    RETENTION,
    'from: today - longestDays + 1, to: today };',
    'from: today - longestDays + 1, to: today + 1 };',
  ),
  fault(
    'cells expire by the shortest window of their feature',
    FEW,
    RETENTION,
    'return Math.max(0, ...windowsDays);',
    'return windowsDays.length === 0 ? 0 : Math.min(...windowsDays);',
  ),
  fault(
    'cells expire a day before the last read that needs them',
    FEW,
    RETENTION,
    'horizon - longestDays + 1;',
    'horizon - longestDays + 2;',
  ),
  fault(
    'features without a window expire',
    FEW,
    RETENTION,
    'tileMs === NO_TILE ? 0 : oldestDay',
    'tileMs === NO_TILE ? horizon : oldestDay',
  ),
  fault(
    'two ranges of folded numbers are merged over a gap',
    MANY,
    'src/features/folded-numbers.ts',
    '} else if (first >= 0) {',
    '} else if (first >= 0 && !hasBit(bitmap, offset + 1)) {',
  ),
  fault(
    'a rebuild is served before it is filled',
    MANY,
    REBUILD,
    '{ next, run,',
    '{ served: next, next, run,',
  ),
  fault(
    'a flip does not wait until all cells are compared',
    MANY,
    REBUILD,
    'if (compared !== undefined) {',
    'if (compared !== undefined && state.compared === null) {',
  ),
  fault(
    'the cleanup of stale generations deletes the served one',
    MANY,
    UPKEEP,
    'where generation = ? $',
    'where generation >= ? $',
  ),
  fault(
    'a sweep leaves the cells that it deletes in the digest',
    FEW,
    UPKEEP,
    '  changeTotals(sql, served, digest);\n  changeState(sql, state, { swept });',
    '  changeState(sql, state, { swept });',
  ),
  fault(
    'an expired cell takes those along that share its row',
    FEW,
    'durable-objects/feature-shard/cells.ts',
    'if (kept.length === 0) {',
    'if (kept.length >= 0) {',
  ),
  fault(
    'the tags of features are not invalidated after the fold',
    FEW,
    'src/features/shards.ts',
    'const at = await invalidate(tags);',
    'const at = await invalidate([]);',
  ),
  {
    ...fault(
      'an event is compared with another of its batch instead of the stored one',
      MANY,
      'src/pipeline/store.ts',
      '    left = conflicts;',
      '    outcome.conflicts.push(...conflicts);\n    left = [];',
    ),
    firstSeed: 61,
  },
  fault(
    'requests are answered although the transaction that they share failed',
    MANY,
    'src/pipeline/shared-storing.ts',
    "throw new NotTogether('The events of several requests could not be stored together.', { cause });",
    'return { outcome: { duplicates: [], conflicts: [], refused: [] }, token: String(cause) };',
  ),
  fault(
    'the feed gets a change only if folding did not fail',
    MANY,
    'queues/changes/consumer.ts',
    'await all(ports.fold(events), ports.appendToFeed(changes), ports.enqueueForKafka(changes));',
    'await ports.fold(events); await ports.appendToFeed(changes);',
  ),
];
