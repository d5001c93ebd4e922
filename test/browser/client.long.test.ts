import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundledClient } from '../../scripts/client/build.ts';
import { CHROMIUM, CHROMIUM_TITLE } from '../support/node/chromium.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

/** What runs in the page: it is part of no other file, so that it has the browser's own globals. */
const SCRIPT = `
  const { createClient, sendEvents, changes, ProblemError } = client;
  const millrace = createClient({ url: location.origin, key: KEY });
  const session = millrace.session();
  await session.put('/v1/products/{sku}', { path: { sku: 'B1' }, body: { description: 'A bell', unitPrice: 4 } });
  const { data } = await session.get('/v1/products/{sku}', { path: { sku: 'B1' } });
  const refused = await createClient({ url: location.origin, key: 'wrong' })
    .get('/v1/admin/pipeline').catch((error) => [error instanceof ProblemError, error.code]);
  const controller = new AbortController();
  const feed = changes(millrace, { entities: ['product'], signal: controller.signal });
  const first = feed.next();
  const event = (n) => ({ id: 'browser-' + n, source: '/browser', type: 'shop.purchase.v1', data: {
    invoice: 'b' + n, sku: 'B1', description: 'A bell', quantity: 1, unitPrice: 4, customerId: 'c1', country: 'France' } });
  const reports = [];
  let change;
  // The feed begins with its connection, so events are sent until one is seen.
  for (let n = 0; change === undefined && n < 60; n += 1) {
    const events = Array.from({ length: 20 }, (_, at) => event(n + '-' + at));
    reports.push(await sendEvents(millrace, events, { wait: true }));
    change = await Promise.race([first, new Promise((resolve) => setTimeout(resolve, 250))]);
  }
  await feed.return();
  return { data, refused, change, report: reports[0], token: session.token };
`;

describe.skipIf(CHROMIUM === undefined)(`the client in ${CHROMIUM_TITLE}`, () => {
  let stack: Stack;
  let browser: Browser;
  beforeAll(async () => {
    stack = await startStack();
    // The sandbox of Chromium does not start for root, as CI runs it. The browser opens this page alone.
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.[Symbol.asyncDispose]();
  });

  it('reads, writes, sends gzipped events and follows their changes', async () => {
    // A page of the same origin, whose content security policy does not bind the script.
    const page = await browser.newPage({ bypassCSP: true });
    await page.goto(`${stack.url.origin}/health/live`);
    const module = `data:text/javascript;base64,${Buffer.from(await bundledClient()).toString('base64')}`;
    const result: unknown = await page.evaluate(
      `(async () => { const KEY = '${KEY}'; const client = await import('${module}'); ${SCRIPT} })()`,
    );
    expect(result).toMatchObject({
      data: { sku: 'B1', description: 'A bell', unitPrice: 4 },
      refused: [true, 'unauthorized'],
      change: { value: { kind: 'change', change: { entities: expect.arrayContaining(['product:B1']) } } },
      report: { accepted: 20, token: expect.stringMatching(/\.\d+$/) },
      token: expect.stringMatching(/\.\d+$/),
    });
  });
});
