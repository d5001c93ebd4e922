import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectedSpend } from '../support/catalog/models.ts';
import { expectedSpendBundle } from '../support/models/outside.ts';
import { CHROMIUM, CHROMIUM_TITLE } from '../support/node/chromium.ts';
import { weakContrasts } from '../support/node/contrast.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

const HOSTILE = '# Card <img src=x onerror="document.title=\'run\'"> & limits';
/** Where a folder is named, pictures of the page are kept for people to look at. */
const PICTURES = process.env['PAGE_PICTURES'];

describe.skipIf(CHROMIUM === undefined)(`the page of the models in ${CHROMIUM_TITLE}`, () => {
  let stack: Stack;
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    stack = await startStack();
    origin = new URL((await stack.fetch('/health/live')).url).origin;
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.[Symbol.asyncDispose]();
  });

  async function open(options: BrowserContextOptions = {}, key = KEY) {
    const context = await browser.newContext(options);
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
    await page.goto(`${origin}/models`);
    await page.getByLabel('Key', { exact: true }).fill(key);
    await page.getByRole('button', { name: 'Show' }).click();
    await page.locator('#models > *').first().waitFor();
    const picture = async (name: string) => {
      if (PICTURES !== undefined) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
    };
    return { context, page, faults, picture };
  }

  async function send(method: string, path: string, body: unknown): Promise<void> {
    const { status, text } = await stack.caller.ask(method, path, { json: body });
    expect(status, `${method} ${path}: ${text}`).toBeLessThan(300);
  }

  it('says that nothing is registered yet, and how to publish a version', async () => {
    const { context, page, faults, picture } = await open();
    const section = page.locator('section', { has: page.getByRole('heading', { name: expectedSpend.name }) });
    expect(await section.textContent()).toContain('No version is registered yet.');
    expect(await section.textContent()).toContain(`npm run cli -- models push ${expectedSpend.name}`);
    await picture('empty');
    expect(faults).toEqual([]);
    await context.close();
  });

  it('says what is wrong with a key', async () => {
    const { context, page, faults, picture } = await open({}, 'wrong');
    expect(await page.locator('#models > p.failed').textContent()).toContain('401');
    await picture('refused');
    expect(faults).toEqual([]);
    await context.close();
  });

  it('shows versions with measurements and cards, the history, and the commands that change them', async () => {
    const at = `/v1/admin/models/${expectedSpend.name}`;
    const first = await expectedSpendBundle();
    const second = await expectedSpendBundle({ fallback: { value: 1, doubled: 2 } });
    await send('PUT', `${at}/champion`, { ...first, card: HOSTILE });
    await send('PUT', `${at}/champion`, second);
    const [old, now] = [first.manifest.version, second.manifest.version];
    const { context, page, faults, picture } = await open();
    const section = page.locator('section', { has: page.getByRole('heading', { name: expectedSpend.name }) });
    const text = await section.textContent();
    expect(text).toContain(`npm run cli -- models rollback ${expectedSpend.name}`);
    expect(text).toContain(`npm run cli -- models promote ${expectedSpend.name} ${old} --expected ${now}`);
    expect(text).toContain(`npm run cli -- models retire ${expectedSpend.name} ${old}`);
    expect(text).toMatch(new RegExp(`champion: ${old} → ${now} \\(publish by `));
    const card = section.locator('article', { hasText: `promote ${expectedSpend.name} ${old}` });
    expect(await card.textContent()).toMatch(/Warm p50, p99\s*[\d.]+ ms, [\d.]+ ms/);
    await card.locator('summary').click();
    expect(await card.locator('pre.prose').textContent()).toBe(HOSTILE);
    const learning = async (title: string) => {
      const details = section.locator('details', { has: page.getByText(title, { exact: true }) });
      await details.locator('summary').click();
      await details.locator('li, .failed').first().waitFor();
      return await details.textContent();
    };
    expect(await learning('Rollout')).toContain('There was no rollout yet.');
    expect(await learning('Drift')).toContain('No version is watched');
    expect(await learning('Hit rates')).toMatch(/No answer was logged yet|422/);
    expect(await page.locator('#models img').count()).toBe(0);
    expect(await page.title()).toBe('Models');
    await picture('versions');
    expect(faults).toEqual([]);
    expect(await context.storageState()).toEqual({ cookies: [], origins: [] });
    await context.close();
  });

  it.each(['light', 'dark'] as const)(
    'can be read in %s colours, on a narrow screen too',
    async (colorScheme) => {
      const { context, page, picture } = await open({ colorScheme, viewport: { width: 360, height: 800 } });
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
      expect(await page.evaluate(weakContrasts)).toEqual([]);
      await picture(`narrow-${colorScheme}`);
      await context.close();
    },
  );
});
