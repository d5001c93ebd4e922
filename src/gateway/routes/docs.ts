import type { OpenAPIHono } from '@hono/zod-openapi';
import type { AppEnv } from '../context.ts';

/** What Scalar is told, as it reads it from the element with its id. Nothing of the page leaves this deployment. */
const CONFIGURATION = {
  url: '/openapi.json',
  withDefaultFonts: false,
  telemetry: false,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  persistAuth: false,
};

/** Styles are inline, because Scalar writes them into the page; scripts and requests are this deployment's alone. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'unsafe-inline'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const DOCUMENT = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Millrace: the API</title>
<link rel="icon" href="data:,">
</head>
<body>
<noscript>This page needs JavaScript. <a href="/openapi.json">/openapi.json</a> says the same.</noscript>
<script id="api-reference" type="application/json" data-configuration="${escaped(JSON.stringify(CONFIGURATION))}"></script>
<script src="/docs/scalar.js"></script>
</body>
</html>
`;

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'cache-control': 'no-cache',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * Serves the documentation of the API for people at `/docs`. Its script is a static asset of the worker
 * (`scripts/project/docs-assets.ts`), and no part of the bundle. It shows `/openapi.json`, so it needs no key.
 */
export function registerDocs(app: OpenAPIHono<AppEnv>): void {
  app.get('/docs', (c) => c.body(DOCUMENT, 200, HEADERS));
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}
