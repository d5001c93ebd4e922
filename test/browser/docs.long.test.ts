import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeDocsAssets } from '../../scripts/project/docs-assets.ts';
import { CHROMIUM, CHROMIUM_TITLE } from '../support/node/chromium.ts';
import { type Stack, startStack } from '../support/node/stack.ts';

describe.skipIf(CHROMIUM === undefined)(`the page at /docs in ${CHROMIUM_TITLE}`, () => {
  let assets: string;
  let stack: Stack;
  let browser: Browser;
  beforeAll(async () => {
    assets = mkdtempSync(join(tmpdir(), 'millrace-assets-'));
    writeDocsAssets(assets);
    stack = await startStack({}, { assets });
    // The sandbox of Chromium does not start for root, as CI runs it. The browser opens this page alone.
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.[Symbol.asyncDispose]();
    rmSync(assets, { recursive: true });
  });

  it('shows every group of operations, and asks nobody but this deployment', async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    const faults: string[] = [];
    const addresses: string[] = [];
    page.on('pageerror', ({ message }) => faults.push(message));
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text());
    });
    page.on('request', (request) => addresses.push(request.url()));
    await page.goto(new URL('/docs', stack.url).href);
    await page.getByRole('heading', { name: 'Millrace', level: 1 }).waitFor({ timeout: 60_000 });
    const screenshot = process.env['DOCS_SCREENSHOT'];
    if (screenshot !== undefined) await page.screenshot({ path: screenshot });
    for (const group of ['views', 'writes', 'events', 'admin', 'health'])
      await page.locator('.t-doc__sidebar').getByText(group, { exact: true }).waitFor();
    expect(faults).toEqual([]);
    const elsewhere = addresses.filter(
      (address) => !address.startsWith(stack.url.href) && !/^(data|blob):/.test(address),
    );
    expect(elsewhere).toEqual([]);
    expect(addresses).toContain(new URL('/openapi.json', stack.url).href);
    expect(addresses).toContain(new URL('/docs/scalar.js', stack.url).href);
  });

  it('leaves all other paths to the worker', async () => {
    expect((await stack.fetch('/docs/other.js')).status).toBe(401);
    expect((await stack.fetch('/health/live')).status).toBe(200);
    const script = await stack.fetch('/docs/scalar.js');
    expect(script.headers.get('content-type')).toMatch(/javascript/);
    await script.body?.cancel();
  });
});
