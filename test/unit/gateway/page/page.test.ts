import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ASSETS, assetsModule } from '../../../../scripts/page/assets.ts';
import type { Catalog } from '../../../../src/define/catalog.ts';
import { defineCatalog } from '../../../../src/define/define-catalog.ts';
import { createApp, type GatewayPorts } from '../../../../src/gateway/app.ts';
import { pageContent, type Section } from '../../../../src/gateway/page/content.ts';
import { pageDocument } from '../../../../src/gateway/page/document.ts';
import { catalog } from '../../../support/catalog/index.ts';
import { unlimited } from '../../../support/node/unlimited.ts';

const NOW = Date.UTC(2026, 0, 1);
const ORIGIN = 'https://millrace.test';
const { sections, live } = pageContent(catalog, NOW);

function entriesOf(id: string): Section['entries'] {
  return sections.find((section) => section.id === id)?.entries ?? [];
}

function entryOf(id: string, name: string) {
  return entriesOf(id).find((entry) => entry.name === name);
}

function liveDataIn(document: string): unknown {
  return JSON.parse(
    /<script type="application\/json" id="live-data">(.*?)<\/script>/s.exec(document)?.[1] ?? '',
  );
}

describe('what the page shows of a catalog', () => {
  it('has everything that is declared', () => {
    const names = (id: string) => entriesOf(id).map(({ name }) => name);
    expect(names('views')).toEqual(catalog.views.map(({ name }) => name));
    expect(names('models')).toEqual(catalog.models.map(({ name }) => name));
    expect(names('events')).toEqual(catalog.events.map(({ type }) => type));
    expect(names('features')).toEqual(catalog.features.map(({ name }) => name));
    expect(names('entities')).toEqual(catalog.entities.map(({ name }) => name));
  });

  it('says what is public, and asks for the rest with the key', () => {
    const entries = sections.flatMap((section) => section.entries);
    expect(entries.some(({ isPublic }) => isPublic)).toBe(true);
    for (const { isPublic, line, name } of entries) {
      // The types of events are public, whatever an event is.
      if (line.includes('/v1/events/types')) continue;
      expect(line.includes('Bearer $KEY'), name).toBe(!isPublic);
    }
    expect(entryOf('views', 'product')?.isPublic).toBe(true);
    expect(entryOf('views', 'customer')?.isPublic).toBe(false);
  });

  it('has a line for each, with the values of the examples', () => {
    expect(entryOf('views', 'product')?.line).toBe('curl -i "$URL/v1/products/A1"');
    expect(entryOf('views', 'customers')?.line).toBe(
      'curl -i "$URL/v1/customers?country=EIRE" -H "authorization: Bearer $KEY"',
    );
    expect(entryOf('models', 'ranker')?.line).toContain('"$URL/v1/customers/c1/recommendations"');
    expect(entryOf('models', 'mood')?.line).toContain(`-d '{"key":"c1","request":{"hour":"HOUR"}}'`);
    expect(entryOf('features', 'purchases')?.line).toContain(
      `-d '{"entity":"customer","keys":["c1"],"features":["purchases_30d","purchases_365d"]}'`,
    );
    expect(entryOf('events', 'shop.purchase.v1')?.line).toContain(`"id":"try-'$(date +%s%N)'"`);
    expect(entryOf('entities', 'product')?.line).toContain('curl -N "$URL/v1/changes?entity=product"');
  });

  it('gives the script the addresses of an event, the rows, and the models that have a path', () => {
    const purchase = live.events.find(({ type }) => type === 'shop.purchase.v1');
    expect(purchase?.addresses).toContain('/v1/products/A1');
    expect(purchase?.addresses).toContain('/v1/customers/c1/recommendations');
    expect(live.rows).toContainEqual({
      entity: 'product',
      prefix: '/v1/products/',
      property: 'sku',
      label: 'description',
    });
    expect(live.models.map(({ name, items }) => ({ name, items }))).toEqual([
      { name: 'ranker', items: 'product' },
      { name: 'expected-spend', items: undefined },
    ]);
  });

  it('shows words between backticks as code', () => {
    expect(pageDocument({ sections, live }, ORIGIN)).toContain(
      '; <code>next</code> is the <code>after</code> of',
    );
  });

  it('offers the event that most features count first', () => {
    expect(live.events[0]?.type).toBe('shop.purchase.v1');
    expect(live.events[0]?.feeds).toContain('/v1/customers/{id}/recommendations');
    expect(live.events.find(({ type }) => type === 'shop.return.v1')?.feeds).toEqual([]);
  });

  it('is there for an empty catalog, too', () => {
    const document = pageDocument(pageContent(defineCatalog({}), NOW), ORIGIN);
    expect(document).toContain('its catalog is empty');
    expect(document).toContain('there is none to send here');
  });
});

describe('hostile names', () => {
  const HOSTILE = `"><img src=x onerror=alert(1)></script><!--<script>alert('2')//&amp;`;
  const [view] = catalog.views;
  const [event] = catalog.events;
  const [entity] = catalog.entities;
  const hostile: Catalog = {
    ...catalog,
    views: view === undefined ? [] : [{ ...view, name: HOSTILE, description: HOSTILE }],
    events: event === undefined ? [] : [{ ...event, type: HOSTILE, example: { [HOSTILE]: HOSTILE } }],
    entities: entity === undefined ? [] : [{ ...entity, name: HOSTILE }],
  };
  const content = pageContent(hostile, NOW);
  const document = pageDocument(content, `http://h';$(id)`);

  it('are text, and never elements or attributes', () => {
    expect(document).not.toContain('<img');
    expect(document).not.toContain('<!--');
    expect(document.match(/<script/g)).toHaveLength(2);
    expect(document).toContain('&lt;img src=x onerror=alert(1)&gt;');
    // `&amp;` in a name is shown as it is.
    expect(document).toContain('//&amp;amp;');
  });

  it('reach the script as they are', () => {
    expect(liveDataIn(document)).toEqual(JSON.parse(JSON.stringify(content.live)));
  });

  it('stay one word of the shell', () => {
    expect(document).toContain('URL=&#39;http://h&#39;\\&#39;&#39;;$(id)&#39;');
  });
});

describe('the route', () => {
  const needless = (): never => {
    throw new Error('The page needs no ports.');
  };
  const access = {
    apiKeySha256: '',
    peekKey: needless,
    findKey: needless,
    noteUse: needless,
    holderOfTicket: needless,
    acceptsTokens: false,
    peekToken: needless,
    verifyToken: needless,
  };
  const app = createApp({
    catalog,
    viewsOf: needless,
    // Without a key, the middleware asks for its part, and no route is reached.
    countRequest: () => undefined,
    portsOf: () =>
      new Proxy({ access, limits: unlimited() } as unknown as GatewayPorts, {
        get: (ports, name) => Reflect.get(ports, name) ?? needless(),
      }),
  });
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} };
  const statusFor = async (accept?: string) => {
    const headers: Record<string, string> = accept === undefined ? {} : { accept };
    return (await app.request('/', { headers }, {}, context)).status;
  };

  it.each([
    'text/html',
    'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'application/json, TEXT/HTML;q=0.1',
  ])('answers the page to Accept: %s', async (accept) => {
    expect(await statusFor(accept)).toBe(200);
  });

  it.each([undefined, '*/*', 'application/json', 'text/html;q=0', 'text/plain', ''])(
    'asks for the key, as every unknown path does, where Accept is %s',
    async (accept) => {
      expect(await statusFor(accept)).toBe(401);
    },
  );
});

it('has the script and the style as they are built from their sources; `npm run page` builds them', async () => {
  const isCurrent =
    readFileSync(join(import.meta.dirname, '../../../..', ASSETS), 'utf8') === (await assetsModule());
  expect(isCurrent).toBe(true);
});
