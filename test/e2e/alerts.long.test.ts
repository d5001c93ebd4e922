/** The database dies under load: one alert, one incident, and notices of both. Minutes of the rules are shorter here. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { Notice } from '../../src/operations/alerts/notices.ts';
import { startCli } from '../support/node/cli.ts';
import { IS_PART } from '../support/node/part.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

/** A minute of the rules. Isolates report every five seconds, so a shorter one would be empty most of the time. */
const MINUTE_MS = 4_000;
/** As long as the alert and its end take, with time for a slow machine. */
const PATIENCE_MS = 120_000;

const Alerts = z.object({
  alerts: z.array(
    z.object({
      ...{
        alertname: z.string(),
        state: z.string(),
        isNotified: z.boolean(),
        inhibitedBy: z.string().nullable(),
      },
      labels: z.record(z.string(), z.string()),
    }),
  ),
});
const Incidents = z.object({
  incidents: z.array(
    z.object({ id: z.number(), state: z.string(), title: z.string(), cause: z.string().nullable() }),
  ),
});
const Timeline = z.object({
  timeline: z.array(z.object({ kind: z.string(), by: z.string(), text: z.string() })),
});

const received: { readonly id: string; readonly notice: Notice }[] = [];
const receiver = createServer(async (request, response) => {
  received.push({
    id: String(request.headers['webhook-id']),
    notice: Notice.parse(JSON.parse(await text(request))),
  });
  response.end();
});
let stack: Stack;
let isLoading = true;
let load: Promise<void>;

beforeAll(async () => {
  if (IS_PART) return;
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  stack = await startStack(
    {
      ALERTS_MINUTE_MS: String(MINUTE_MS),
      // What makes the stack a local one, whose notices may go to its own machine.
      INSTANCE_ID: 'alerts',
      ALERT_WEBHOOKS: JSON.stringify([{ name: 'hooks', kind: 'generic', url, secret }]),
    },
    { outages: true },
  );
  load = loading();
});
afterAll(async () => {
  if (IS_PART) return;
  isLoading = false;
  await load;
  await stack[Symbol.asyncDispose]();
  receiver.closeAllConnections();
  receiver.close();
});

/** Readers and writers, some ten requests a second. */
async function loading(): Promise<void> {
  for (let number = 0; isLoading; number += 1) {
    const product = `/v1/products/${number % 3}`;
    const written = { json: { description: null, unitPrice: 1 + (number % 9) } };
    await Promise.allSettled([
      stack.caller.ask('PUT', product, written),
      stack.caller.ask('GET', product, { headers: { 'millrace-consistency': 'strong' } }),
      stack.caller.ask('GET', '/v1/products'),
      stack.caller.ask('GET', '/v1/customers?country=UK'),
    ]);
    await sleep(300);
  }
}

const alerts = async () => Alerts.parse((await stack.caller.ask('GET', '/v1/admin/alerts')).json).alerts;
const incidents = async () =>
  Incidents.parse((await stack.caller.ask('GET', '/v1/admin/incidents')).json).incidents;
const cli = async (...args: string[]) => (await startCli(stack.url.origin, ...args).ended).text;
const notified = () => received.map(({ notice: { type, data } }) => [type, data.alert?.labels['peer'] ?? '']);

// It takes minutes of the rules. A part has them in tests of the object, whose time is its own (test/workers).
it.skipIf(IS_PART)(
  'a dead database is one alert and one incident, which can be read and noted meanwhile, and ends',
  async () => {
    // The object has to have a minute before, from which it counts.
    await eventually(
      async () => (await stack.caller.ask('GET', '/v1/admin/alerts')).json['evaluatedAt'],
      (at) => at !== null,
      PATIENCE_MS,
    );
    await sleep(2 * MINUTE_MS);
    expect((await alerts()).filter(({ state }) => state === 'firing')).toEqual([]);

    await stack.pauseDatabase();
    await eventually(incidents, (all) => all.length > 0, PATIENCE_MS);
    const [incident] = await incidents();
    expect(incident).toMatchObject({ state: 'open', cause: 'database' });
    const path = `/v1/admin/incidents/${incident?.id}`;
    const acknowledged = await stack.caller.ask('POST', `${path}/acknowledge`, { json: {} });
    expect(acknowledged.status).toBe(200);
    await cli('incidents', 'note', String(incident?.id), 'The server is restarted.');
    // Long enough that the budgets would alert as well.
    await sleep(6 * MINUTE_MS);
    expect(
      (await alerts()).filter(({ state, isNotified }) => state === 'firing' && isNotified),
    ).toMatchObject([{ alertname: 'MillraceDependencyFails', labels: { peer: 'database' } }]);

    await stack.resumeDatabase();
    await eventually(incidents, ([first]) => first?.state === 'resolved', PATIENCE_MS);
    // Nothing comes after it.
    await sleep(6 * MINUTE_MS);
    expect(await incidents()).toHaveLength(1);
    expect(notified()).toEqual([
      ['alert.firing', 'database'],
      ['incident.opened', ''],
      ['incident.acknowledged', ''],
      ['incident.updated', ''],
      ['alert.resolved', 'database'],
      ['incident.resolved', ''],
    ]);
    expect(new Set(received.map(({ id }) => id)).size).toBe(received.length);

    const { timeline } = Timeline.parse((await stack.caller.ask('GET', path)).json);
    expect(timeline.map(({ kind }) => kind).filter((kind) => kind !== 'effect')).toEqual([
      ...['alert', 'state', 'note', 'alert'],
    ]);
    const draft = await cli('incidents', 'postmortem', String(incident?.id));
    expect(draft).toContain('The server is restarted.');
    // What was done meanwhile is in the audit log now.
    await eventually(
      async () => JSON.stringify((await stack.caller.ask('GET', '/v1/admin/audit?limit=50')).json),
      (log) => log.includes('incident.acknowledge') && log.includes('incident.note'),
      PATIENCE_MS,
    );
  },
  600_000,
);
