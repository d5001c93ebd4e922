/**
 * What the quality score costs: `npm run bench:quality`. A made-up shop's lines are judged, stored and scored as the
 * queue's consumer does it, with the scoring and without, in turns. `DATABASE_URL` takes a real Postgres instead of
 * the embedded one; it is to be empty, and is left filled.
 */
import { randomUUID } from 'node:crypto';
import { median } from '../../../bench/support/load.ts';
import type { EventsMessage } from '../../../queues/events/message.ts';
import { startDevDatabase } from '../../../scripts/dev/database.ts';
import { judge } from '../../../src/pipeline/judge.ts';
import { tallyEvents } from '../../../src/pipeline/quality/assess.ts';
import { scoredStore } from '../../../src/pipeline/quality/scorer.ts';
import { storeMessages } from '../../../src/pipeline/store.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { classifyFault, connect } from '../../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../../src/storage/postgres/event-store.ts';
import { judgeStored } from '../../../src/storage/postgres/quality-checks.ts';
import { keepRefused } from '../../../src/storage/postgres/quarantine.ts';
import { catalog } from '../catalog/index.ts';
import { LineIdentity, toCloudEvent } from '../import/event.ts';
import { generateLines } from '../seed/generator.ts';
import { SHOP } from '../test/served.ts';

const LINES = 60_000;
const BATCH_LINES = 2_000;
const UNTIL = new Date('2026-11-01T00:00:00Z');
const JUDGE_ROUNDS = 5;

const now = UNTIL.getTime();
const identity = new LineIdentity();
const raw = [...generateLines({ seed: 1, customers: 4_500, lines: LINES, until: UNTIL })].map((line) =>
  toCloudEvent(line, { source: '/bench', id: identity.idOf(line) }),
);
const messages: EventsMessage[] = [];
for (let from = 0; from < raw.length; from += BATCH_LINES) {
  const judged = raw
    .slice(from, from + BATCH_LINES)
    .map((event) => ({ event, judgement: judge(catalog.eventTypes, event, now) }));
  messages.push({
    v: 1,
    receivedAt: now,
    accepted: judged.flatMap(({ judgement }) => (judgement.verdict === 'accepted' ? [judgement.event] : [])),
    refused: judged.flatMap(({ event, judgement }) =>
      judgement.verdict === 'quarantined' ? [{ raw: event, ...judgement.refusal }] : [],
    ),
  });
}

/** Microseconds an event, the median of some rounds over all of them. */
function microsPerEvent(work: () => void): number {
  const rounds = Array.from({ length: JUDGE_ROUNDS }, () => {
    const startedAt = performance.now();
    work();
    return ((performance.now() - startedAt) * 1_000) / raw.length;
  });
  return median(rounds);
}

const row = (name: string, value: number, unit: string) =>
  console.log(`${name.padEnd(56)} ${value.toFixed(2).padStart(10)} ${unit}`);

row(
  'judged at ingest',
  microsPerEvent(() => {
    for (const event of raw) judge(catalog.eventTypes, event, now);
  }),
  'µs an event',
);
row(
  'assessed by all rules and tallied, in the consumer',
  microsPerEvent(() => {
    for (const { accepted } of messages) tallyEvents(catalog.eventTypes, accepted, [], now);
  }),
  'µs an event',
);

const url = process.env['DATABASE_URL'];
const database = await startDevDatabase({
  migrationsDir: SHOP.migrationsDir,
  ...(url === undefined ? { dataDir: 'memory://' } : { databaseUrl: url }),
});
try {
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const took = { scored: [] as number[], plain: [] as number[], rules: [] as number[] };
  for (const [index, message] of messages.entries()) {
    const isScored = index % 2 === 1;
    const startedAt = performance.now();
    const pending: Promise<unknown>[] = [];
    const ports = isScored
      ? scoredStore({
          types: catalog.eventTypes,
          judgeStored: async (rules, batch) => {
            const askedAt = performance.now();
            const judged = await judgeStored(db, rules, batch);
            took.rules.push(performance.now() - askedAt);
            return judged;
          },
          send: async () => {},
          storeEvents: (events, batch) => storeEvents(db, events, batch),
          keepRefused: (refused, batch) => keepRefused(db, refused, batch),
          newId: randomUUID,
          now: () => now,
          keepAlive: (promise) => void pending.push(promise),
        })
      : {
          storeEvents: (events: Parameters<typeof storeEvents>[1]) => storeEvents(db, events, randomUUID()),
          keepRefused: async (refused: Parameters<typeof keepRefused>[1]) =>
            void (await keepRefused(db, refused)),
        };
    await storeMessages([message], {
      types: catalog.eventTypes,
      ...ports,
      classifyFault,
      fingerprint: sha256Hex,
    });
    await Promise.all(pending);
    const events = message.accepted.length + message.refused.length;
    took[isScored ? 'scored' : 'plain'].push(((performance.now() - startedAt) * 1_000) / events);
  }
  const [scored, plain] = [median(took.scored), median(took.plain)];
  row('stored, without scoring', 1e6 / plain, 'events/s');
  row('stored and scored, waiting for the score', 1e6 / scored, 'events/s');
  row('the score', scored - plain, 'µs an event');
  row('rules that the database judges, a transaction', median(took.rules), 'ms');
} finally {
  await database.close();
}
