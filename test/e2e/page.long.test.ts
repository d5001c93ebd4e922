import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

const HTML = { accept: 'text/html,*/*;q=0.8' };
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

const hashOf = (text: string) => `sha256-${createHash('sha256').update(text).digest('base64')}`;
/** The directives of the policy, by name. */
function policyOf(response: Response): Map<string, string> {
  const directives = (response.headers.get('content-security-policy') ?? '').split('; ');
  return new Map(directives.map((directive) => [directive.split(' ')[0] ?? '', directive]));
}

it('serves a page to browsers without a key', async () => {
  const response = await stack.fetch('/', { headers: HTML });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(response.headers.get('vary')).toBe('Accept');
  const text = await response.text();
  expect(text).toContain('<h2 id="views">Views</h2>');
  // The lines name the address that was asked.
  expect(text).toMatch(/URL=http:\/\/(127\.0\.0\.1|localhost):\d+/);
});

it('allows its own script and style by their hashes, and nothing from elsewhere', async () => {
  const response = await stack.fetch('/', { headers: HTML });
  const policy = policyOf(response);
  const text = await response.text();
  const [, script = ''] = /<script type="module">(.*?)<\/script>/s.exec(text) ?? [];
  const [, style = ''] = /<style>(.*?)<\/style>/s.exec(text) ?? [];
  expect(policy.get('default-src')).toBe("default-src 'none'");
  expect(policy.get('script-src')).toBe(`script-src '${hashOf(script)}'`);
  expect(policy.get('style-src')).toBe(`style-src '${hashOf(style)}'`);
  expect(policy.get('connect-src')).toBe("connect-src 'self'");
  expect(policy.get('form-action')).toBe("form-action 'none'");
  expect(text.match(/ (?:src|href)="(?!#|\/(?!\/)|data:,")[^"]*"| on\w+="| style="/g)).toBeNull();
});

it('answers the same to a HEAD, without the body', async () => {
  const response = await stack.fetch('/', { method: 'HEAD', headers: HTML });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await response.text()).toBe('');
});

it('asks every other client for the key, and tells its holder that no route is there', async () => {
  const stranger = await stack.fetch('/');
  expect(stranger.status).toBe(401);
  expect(await stranger.json()).toMatchObject({ code: 'unauthorized' });
  const holder = await stack.fetch('/', { headers: { authorization: `Bearer ${KEY}` } });
  expect(holder.status).toBe(404);
  expect(await holder.json()).toMatchObject({ code: 'not_found' });
  const writer = await stack.fetch('/', { method: 'POST', headers: HTML });
  expect(writer.status).toBe(401);
  await writer.body?.cancel();
});

it('has links that answer without a key', async () => {
  const text = await (await stack.fetch('/', { headers: HTML })).text();
  const links = [...text.matchAll(/<a href="(\/[^"]*)"/g)].map(([, href = '']) => href);
  expect(links).toEqual([
    '/models',
    '/dashboards',
    '/docs',
    '/openapi.json',
    '/v1/events/types',
    '/health/ready',
  ]);
  for (const link of links) {
    const response = await stack.fetch(link, { headers: { accept: 'text/html, application/json' } });
    expect(response.status, link).toBe(200);
    await response.body?.cancel();
  }
});

it.each(['/models', '/dashboards/executive', '/dashboards/technical', '/dashboards/operational'])(
  'serves %s to browsers without a key, with its own script alone',
  async (path) => {
    const response = await stack.fetch(path, { headers: HTML });
    expect(response.status).toBe(200);
    const text = await response.text();
    const [, script = ''] = /<script type="module">(.*?)<\/script>/s.exec(text) ?? [];
    expect(policyOf(response).get('script-src')).toBe(`script-src '${hashOf(script)}'`);
    expect(text.match(/ (?:src|href)="(?!#|\/(?!\/)|data:,")[^"]*"| on\w+="| style="/g)).toBeNull();
    const stranger = await stack.fetch(path);
    expect(stranger.status).toBe(401);
    await stranger.body?.cancel();
  },
);
