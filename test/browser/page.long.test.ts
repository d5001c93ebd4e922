import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rankerBundle } from '../support/models/ranker.ts';
import { CHROMIUM, CHROMIUM_TITLE } from '../support/node/chromium.ts';
import { weakContrasts } from '../support/node/contrast.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

const HOSTILE = '<img src=x onerror="document.title=\'run\'"> & co';

describe.skipIf(CHROMIUM === undefined)(`the page in ${CHROMIUM_TITLE}`, () => {
  let stack: Stack;
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    stack = await startStack();
    origin = new URL((await stack.fetch('/health/live')).url).origin;
    // The sandbox of Chromium does not start for root, as CI runs it. The browser opens this page alone.
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox'] });
    await send('PUT', '/v1/products/10001A', { description: 'A blue kettle', unitPrice: 2 });
    await send('PUT', '/v1/products/10002B', { description: HOSTILE, unitPrice: 3 });
    await send('PUT', '/v1/admin/models/ranker/champion', await rankerBundle());
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.[Symbol.asyncDispose]();
  });

  async function send(method: string, path: string, body: unknown): Promise<void> {
    const { status, text } = await stack.caller.ask(method, path, { json: body });
    expect(status, `${method} ${path}: ${text}`).toBeLessThan(300);
  }

  /** Opens the page, and collects what it must not do: errors, violations of its policy, requests elsewhere. */
  async function open(options: BrowserContextOptions = {}) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const faults: string[] = [];
    const addresses: string[] = [];
    page.on('pageerror', ({ message }) => faults.push(message));
    page.on('console', (message) => {
      // The browser reports each answer of an error status, such as a row that does not exist yet.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        faults.push(message.text());
    });
    page.on('request', (request) => {
      addresses.push(request.url());
      if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith('data:'))
        faults.push(`requested ${request.url()}`);
    });
    await page.goto(`${origin}/`);
    return { context, page, faults, addresses };
  }

  async function followed(page: Page): Promise<void> {
    await page.getByLabel('Key', { exact: true }).fill(KEY);
    await page.getByRole('button', { name: 'Send and follow' }).click();
    await page.locator('#steps > li', { hasText: /^(Read again|Ended)/ }).waitFor();
  }

  it('follows an event from its acceptance to the answers that it changed, and those that it did not', async () => {
    const { context, page, faults, addresses } = await open();
    await followed(page);
    const steps = await page.locator('#steps > li').allInnerTexts();
    expect(steps.map((step) => /^(\w+( feed| again)?)/.exec(step)?.[0])).toEqual([
      'Read',
      'Accepted',
      'Stored',
      'Invalidated',
      'Live feed',
      'Read again',
    ]);
    expect(steps[1]).toContain('201 after');
    expect(steps[3]).toContain('purchase@product:A1');
    expect(steps[4]).toContain('product:A1');
    // The row of the event became fresh. Another row, which only its answer names, stands beside it and stayed a hit.
    const cards = page.locator('#comparison > article');
    await page.locator('#comparison > article.hit').first().waitFor();
    const [first = '', second = ''] = await cards.allInnerTexts();
    expect(first).toContain('became fresh');
    expect(first).toContain('/v1/products/A1');
    expect(first).toMatch(/After\s+millrace; fwd=/);
    expect(second).toContain('stayed a hit');
    expect(second).toMatch(/After\s+millrace; hit/);
    expect(second).toContain('/v1/products/10001A');
    // The answer of the model changes once the features are updated.
    const recommended = cards.filter({ hasText: '/v1/customers/c1/recommendations' });
    expect(await recommended.getAttribute('class')).toContain('fresh');
    expect(await recommended.textContent()).toContain('A blue kettle');
    expect(faults).toEqual([]);
    // The key is in no address and in nothing that the browser keeps.
    expect(addresses.filter((address) => address.includes(KEY))).toEqual([]);
    expect(await context.storageState()).toEqual({ cookies: [], origins: [] });
    expect(await page.evaluate(() => [localStorage.length, sessionStorage.length])).toEqual([0, 0]);
    expect(page.url()).toBe(`${origin}/`);
    await context.close();
  });

  it('shows the items of a ranking with their descriptions, as text', async () => {
    const { context, page, faults } = await open();
    await page.getByLabel('Key', { exact: true }).fill(KEY);
    await page.getByLabel('Model', { exact: true }).selectOption('ranker');
    await page.getByLabel('Address', { exact: true }).fill('/v1/customers/somebody/recommendations');
    await page.getByRole('button', { name: 'Ask' }).click();
    const items = page.locator('#model-answer ol.items > li');
    await items.first().waitFor();
    const shown = await items.allInnerTexts();
    expect(shown).toContain('A blue kettle 10001A');
    expect(shown).toContain(`${HOSTILE} 10002B`);
    // The catalog has no row of it.
    expect(shown).toContain('OTHER-1');
    expect(await page.locator('#model-answer img').count()).toBe(0);
    expect(await page.title()).toBe('Millrace');
    expect(faults).toEqual([]);
    await context.close();
  });

  it('says what is wrong with a key, with data, and with an address', async () => {
    const { context, page, faults } = await open();
    const button = page.getByRole('button', { name: 'Send and follow' });
    const ended = page.locator('#steps > li.failed');
    await button.click();
    expect(await ended.textContent()).toContain('needs the key');
    expect(
      await page.getByLabel('Key', { exact: true }).evaluate((input) => input === document.activeElement),
    ).toBe(true);
    await page.getByLabel('Key', { exact: true }).fill('wrong');
    await button.click();
    await ended.filter({ hasText: 'The key is not right' }).waitFor();
    await page.getByLabel('Key', { exact: true }).fill(KEY);
    await page.getByLabel('Its data (JSON)').fill('{');
    await button.click();
    await ended.filter({ hasText: 'The data is not JSON' }).waitFor();
    await page.getByLabel('Its data (JSON)').fill('{"sku":""}');
    await button.click();
    await ended.filter({ hasText: '422' }).waitFor();
    await page.getByLabel('Addresses to compare').fill('//elsewhere.test/v1/x');
    await button.click();
    await ended.filter({ hasText: 'not an address of this deployment' }).waitFor();
    expect(faults).toEqual([]);
    await context.close();
  });

  it('works by the keyboard alone', async () => {
    const { context, page } = await open();
    await page.getByLabel('Key', { exact: true }).focus();
    await page.keyboard.type(KEY);
    const reached: string[] = [];
    for (let presses = 0; presses < 4; presses += 1) {
      await page.keyboard.press('Tab');
      reached.push(
        await page.evaluate(() => document.activeElement?.id || document.activeElement?.tagName || ''),
      );
    }
    expect(reached).toEqual(['event-type', 'event-data', 'addresses', 'BUTTON']);
    await page.keyboard.press('Enter');
    await page.locator('#steps > li', { hasText: /^Accepted/ }).waitFor();
    await context.close();
  });

  it('shows what is served without JavaScript', async () => {
    const { context, page } = await open({ javaScriptEnabled: false });
    expect(await page.getByText('This part needs JavaScript.').isVisible()).toBe(true);
    expect(await page.getByRole('button').count()).toBe(0);
    expect(await page.getByRole('heading', { name: 'Views', exact: true }).isVisible()).toBe(true);
    expect(await page.getByText('curl -i "$URL/v1/products/A1"').first().isVisible()).toBe(true);
    await context.close();
  });

  it.each(['light', 'dark'] as const)(
    'can be read in %s colours, on a narrow screen too',
    async (colorScheme) => {
      const { context, page } = await open({ colorScheme, viewport: { width: 360, height: 800 } });
      await followed(page);
      await page.locator('#comparison > article').first().waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
      expect(await page.evaluate(weakContrasts)).toEqual([]);
      await context.close();
    },
  );
});
