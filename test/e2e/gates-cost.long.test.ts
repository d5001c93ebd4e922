import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { IS_PART } from '../support/node/part.ts';
import { type Stack, startStack } from '../support/node/stack.ts';

/** The isolate sends its counts with the first request after five seconds. */
const COUNTS_MS = 5_500;
const ASKED = 10;

let stack: Stack;
beforeAll(async () => {
  // The watch of the outbox would be counted with what is asked.
  if (!IS_PART) stack = await startStack({ OUTBOX_WATCH_MS: '60000', PROBE_SHARE: '0' }, { capture: true });
});
afterAll(async () => await stack?.[Symbol.asyncDispose]());

/** Calls of each service since the start. */
async function calls(): Promise<Record<string, number>> {
  await sleep(COUNTS_MS);
  await stack.caller.ask('GET', '/health/live');
  await sleep(500);
  const { text } = await stack.caller.ask('GET', '/metrics');
  const found: Record<string, number> = {};
  for (const [, peer = '', count] of text.matchAll(
    /^millrace_peer_calls_total\{[^}]*peer="([^"]+)"[^}]*\} (\d+)/gm,
  ))
    found[peer] = (found[peer] ?? 0) + Number(count);
  return found;
}

/** Calls of each service for one request. */
async function callsOf(method: string, path: string, json?: object): Promise<Record<string, number>> {
  const before = await calls();
  for (let asked = 0; asked < ASKED; asked += 1)
    expect((await stack.caller.ask(method, path, json === undefined ? {} : { json })).status).toBe(200);
  const after = await calls();
  // What the stack does by itself meanwhile is less than one call for each request.
  const made = Object.entries(after).map(
    ([peer, count]) => [peer, Math.floor((count - (before[peer] ?? 0)) / ASKED)] as const,
  );
  return Object.fromEntries(made.filter(([, count]) => count > 0));
}

/** What docs/phases.md says that each costs. */
it.skipIf(IS_PART)(
  'each operation of the phases makes as many calls and statements as documented',
  async () => {
    // The first requests of a stack also load what the others find in memory.
    await callsOf('GET', '/v1/gates');
    expect(await callsOf('GET', '/v1/gates')).toEqual({
      ...{
        database: 15,
        queue: 6,
        'root-clock': 1,
        'outbox-relay': 2,
        'cache-stats': 1,
        'quality-window': 1,
      },
      ...{ alerts: 1, kv: 1, artifacts: 1 },
    });
    expect(await callsOf('GET', '/v1/admin/phases')).toEqual({ 'root-clock': 1, database: 1, queue: 6 });
    // What docs/lineage.md says: the keys are read, and no deprecated version is concerned.
    const impact = '/v1/impact?element=products.unit_price';
    expect(await callsOf('GET', impact)).toEqual({ database: 1 });
    // The phase is on, so no gate is measured.
    const json = { state: 'on', reason: 'a test' };
    const same = await callsOf('PUT', '/v1/admin/phases/cache', json);
    expect(same).toEqual({ 'root-clock': 2, database: 3, queue: 6 });
  },
);
