import type { OpenAPIHono } from '@hono/zod-openapi';
import { parseAccept } from 'hono/utils/accept';
import type { Catalog } from '../../define/catalog.ts';
import { systemNow } from '../../platform/clock.ts';
import type { AppEnv } from '../context.ts';
import { DASHBOARDS_SCRIPT, DASHBOARDS_STYLE, MODELS_SCRIPT, SCRIPT, STYLE } from '../page/assets.ts';
import { type PageContent, pageContent } from '../page/content.ts';
import { DASHBOARDS, dashboardsDocument } from '../page/dashboards-document.ts';
import { pageDocument } from '../page/document.ts';
import { contentSecurityPolicy } from '../page/head.ts';
import { modelsDocument } from '../page/models-document.ts';

/**
 * Serves pages for people at `/`, `/models` and `/dashboards` to clients that accept HTML by name, as browsers do. They show
 * declarations of the catalog and no data, so they need no key: the script of a page reads data with the reader's. Every
 * other request continues to the routes that are registered after these. OpenAPI describes what programs use, and so not
 * these pages.
 */
export function registerPage(app: OpenAPIHono<AppEnv>, catalog: Catalog): void {
  let content: PageContent | undefined;
  app.get('/', async (c, next) => {
    if (!acceptsHtml(c.req.header('accept'))) return await next();
    content ??= pageContent(catalog, systemNow());
    return c.body(pageDocument(content, new URL(c.req.url).origin), 200, headersOf(SCRIPT));
  });
  app.get('/models', async (c, next) => {
    if (!acceptsHtml(c.req.header('accept'))) return await next();
    return c.body(modelsDocument(), 200, headersOf(MODELS_SCRIPT));
  });
  app.get('/dashboards', async (c, next) => {
    if (!acceptsHtml(c.req.header('accept'))) return await next();
    return c.redirect(`/dashboards/${DASHBOARDS.at(-1)}`, 302);
  });
  for (const name of DASHBOARDS)
    app.get(`/dashboards/${name}`, async (c, next) => {
      if (!acceptsHtml(c.req.header('accept'))) return await next();
      return c.body(dashboardsDocument(), 200, headersOf(DASHBOARDS_SCRIPT, DASHBOARDS_STYLE));
    });
}

function headersOf({ hash }: { readonly hash: string }, style: { readonly hash: string } = STYLE) {
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': contentSecurityPolicy(hash, style.hash),
    // Another deployment may serve another catalog at once.
    'cache-control': 'no-cache',
    vary: 'Accept',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  };
}

function acceptsHtml(accept: string | undefined): boolean {
  return parseAccept(accept ?? '').some(({ type, q }) => type.toLowerCase() === 'text/html' && q > 0);
}
