import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHROMIUM, CHROMIUM_TITLE } from '../support/node/chromium.ts';
import { IS_PART, partOf } from '../support/node/part.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

/** Where a folder is named, pictures of the pages are kept for people to look at. */
const PICTURES = process.env['PAGE_PICTURES'];
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const READS = 30;

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}

describe.skipIf(CHROMIUM === undefined)(`the dashboards in ${CHROMIUM_TITLE}`, () => {
  let stack: Stack;
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    stack = await startStack();
    origin = new URL((await stack.fetch('/health/live')).url).origin;
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox'] });
    for (let read = 0; read < READS; read += 1) await stack.caller.ask('GET', '/v1/products');
    await eventually(
      async () =>
        (await stack.caller.ask('GET', '/v1/admin/series?metric=millrace_http_requests_total')).text,
      (text) =>
        JSON.parse(text).series[0]?.values.at(-1) + JSON.parse(text).series[0]?.values.at(-2) >= READS,
    );
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.[Symbol.asyncDispose]();
  });

  async function open(tab: string, options: BrowserContextOptions = {}, key = KEY) {
    const context = await browser.newContext({ viewport: { width: 1_280, height: 900 }, ...options });
    const page = await context.newPage();
    const faults: string[] = [];
    page.on('pageerror', ({ message }) => faults.push(message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        faults.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith('data:'))
        faults.push(`requested ${request.url()}`);
    });
    await page.goto(`${origin}/dashboards/${tab}`);
    await page.getByLabel('Key', { exact: true }).fill(key);
    await page.getByRole('button', { name: 'Show' }).click();
    const picture = async (name: string) => {
      if (PICTURES !== undefined) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
    };
    return { context, page, faults, picture };
  }

  const tileOf = (page: Awaited<ReturnType<typeof open>>['page'], label: string) =>
    page.locator('#tiles li', { has: page.getByRole('heading', { name: label, exact: true }) });

  it('show what was counted, and narrow it to a route, whose address can be sent to others', async () => {
    const { context, page, faults, picture } = await open('technical');
    const table = page.locator('#routes');
    await table.getByRole('button', { name: '/v1/products', exact: true }).waitFor();
    const row = table.locator('tr', { has: page.getByRole('button', { name: '/v1/products', exact: true }) });
    expect(Number(await row.locator('td').nth(1).textContent())).toBeGreaterThanOrEqual(READS);
    expect(await page.locator('#latency svg rect').count()).toBeGreaterThan(0);
    expect(await page.locator('#traffic canvas').count()).toBe(1);
    expect(await page.locator('#traffic .chart').getAttribute('aria-label')).toMatch(/2xx: .* now, at most/);
    await page.locator('#traffic summary').click();
    expect(await page.locator('#traffic tbody tr').count()).toBe(24);
    await picture('technical');
    await row.getByRole('button').click();
    await page.locator('#chosen code').waitFor();
    expect(new URL(page.url()).searchParams.get('route')).toBe('/v1/products');
    expect(await page.locator('#chosen').textContent()).toContain('/v1/products');
    await page.locator('#chosen a').click();
    await page.locator('#chosen').waitFor({ state: 'hidden' });
    expect(faults).toEqual([]);
    // Neither the key nor anything else is kept.
    expect(await context.storageState()).toEqual({ cookies: [], origins: [] });
    await context.close();
  });

  // The counts of a minute are shown when it is over, so this takes one.
  it.skipIf(IS_PART)('change by themselves while requests come in', async () => {
    const { context, page, faults } = await open('technical');
    await page.locator('#status.live').waitFor();
    const requests = async () => {
      const note = (await tileOf(page, 'Requests per second').locator('.note').textContent()) ?? '';
      return Number(/(\d+) requests/.exec(note.replaceAll(',', ''))?.[1]);
    };
    const before = await requests();
    for (let read = 0; read < READS; read += 1) await stack.caller.ask('GET', '/v1/products');
    await eventually(requests, (now) => now >= before + READS);
    expect(faults).toEqual([]);
    await context.close();
  });

  it('lead from a number to its series on another dashboard, without asking for the key again', async () => {
    const { context, page, faults, picture } = await open('executive');
    await tileOf(page, 'Hit ratio').waitFor();
    expect(await tileOf(page, 'Hit ratio').locator('.value').textContent()).toContain('%');
    await picture('executive');
    await tileOf(page, 'Hit ratio').getByRole('link').click();
    await page.locator('#hit-ratio canvas').waitFor();
    expect(new URL(page.url()).pathname + new URL(page.url()).hash).toBe('/dashboards/technical#hit-ratio');
    await page.getByLabel('Time').selectOption('24h');
    await page.waitForURL(/range=24h/);
    await page.goBack();
    await page.waitForURL((url) => url.search === '');
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Technical');
    expect(faults).toEqual([]);
    await context.close();
  });

  it('say what is empty, and do what the reader confirms', async () => {
    const { context, page, faults, picture } = await open('operational');
    await page.locator('#dead-letters .nothing').waitFor();
    expect(await page.locator('#quarantine .nothing').textContent()).toContain(
      'each event kept its contract',
    );
    await picture('operational');
    const asked: string[] = [];
    page.on('dialog', (dialog) => {
      asked.push(dialog.message());
      void dialog.accept();
    });
    const swept = page.waitForResponse((response) => response.url().endsWith('/v1/admin/outbox/sweep'));
    await page.getByRole('button', { name: 'Relay the outbox now' }).click();
    expect((await swept).status()).toBe(200);
    expect(asked).toEqual(['Relay the changes that wait in the outbox now?']);
    expect(faults).toEqual([]);
    await context.close();
  });

  it('say what is wrong with a key, and show nothing', async () => {
    const { context, page } = await open('executive', {}, 'wrong');
    await page.locator('#alarm:not(:empty)').waitFor();
    expect(await page.locator('#alarm').textContent()).toContain('401');
    expect(await page.locator('#dashboard').isVisible()).toBe(false);
    await context.close();
  });

  it.each(
    partOf(
      [
        ['dark', 360],
        ['light', 1_280],
        ['dark', 1_280],
        ['light', 360],
      ] as const,
      4,
    ),
  )('can be read by everybody: %s, %d pixels wide', async (colorScheme, width) => {
    const axe = await readFile(AXE, 'utf8');
    for (const tab of partOf(['technical', 'executive', 'operational'], 3)) {
      const { context, page, picture } = await open(tab, { colorScheme, viewport: { width, height: 800 } });
      await page.locator('#tiles li').first().waitFor();
      await page.locator('#rest > *').first().waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth), tab).toBe(width);
      await page.evaluate(axe);
      const violations = await page.evaluate<Violation[]>('axe.run().then(({ violations }) => violations)');
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      expect(found, tab).toEqual([]);
      await picture(`${tab}-${colorScheme}-${width}`);
      await context.close();
    }
  });
});

it('have less than 150 KB in all', async () => {
  const { dashboardsDocument } = await import('../../src/gateway/page/dashboards-document.ts');
  expect(dashboardsDocument().length).toBeLessThan(150_000);
});
