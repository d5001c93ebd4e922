import type { OpenAPIHono } from '@hono/zod-openapi';
import { parseAccept } from 'hono/utils/accept';
import type { Catalog } from '../../define/catalog.ts';
import { systemNow } from '../../platform/clock.ts';
import type { AppEnv } from '../context.ts';
import { type PageContent, pageContent } from '../page/content.ts';
import { CONTENT_SECURITY_POLICY, pageDocument } from '../page/document.ts';

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': CONTENT_SECURITY_POLICY,
  // Another deployment may serve another catalog at once.
  'cache-control': 'no-cache',
  vary: 'Accept',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * Serves a page for people at `/` to clients that accept HTML by name, as browsers do. It shows declarations of the
 * catalog and no data, so it needs no key. Every other request for `/` continues to the routes that are registered
 * after this one. OpenAPI describes what programs use, and so not this page.
 */
export function registerPage(app: OpenAPIHono<AppEnv>, catalog: Catalog): void {
  let content: PageContent | undefined;
  app.get('/', async (c, next) => {
    if (!acceptsHtml(c.req.header('accept'))) return await next();
    content ??= pageContent(catalog, systemNow());
    return c.body(pageDocument(content, new URL(c.req.url).origin), 200, HEADERS);
  });
}

function acceptsHtml(accept: string | undefined): boolean {
  return parseAccept(accept ?? '').some(({ type, q }) => type.toLowerCase() === 'text/html' && q > 0);
}
