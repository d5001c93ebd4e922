import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pageContent } from '../../src/gateway/page/content.ts';
import { catalog } from '../support/catalog/index.ts';
import { KEY, type Stack, startStack } from '../support/node/stack.ts';

const execute = promisify(execFile);
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
  expect(links).toEqual(['/openapi.json', '/v1/events/types', '/health/ready']);
  for (const link of links) {
    const response = await stack.fetch(link);
    expect(response.status, link).toBe(200);
    await response.body?.cancel();
  }
});

it('shows lines that a shell runs, and that this deployment answers', async () => {
  const origin = new URL((await stack.fetch('/health/live')).url).origin;
  const { sections } = pageContent(catalog, Date.now());
  /** The status that the line's `curl` prints at the end; a stream is ended after some seconds. */
  const statusOf = async (line: string) => {
    const quiet = `-s -o /dev/null -m ${line.startsWith('curl -N') ? 5 : 20} -w '%{http_code}'`;
    const env = { ...process.env, URL: origin, KEY };
    const { stdout } = await execute('/bin/sh', ['-c', `${line} ${quiet} || true`], { env });
    return stdout.slice(-3);
  };
  const lines = (id: string) =>
    sections.find((section) => section.id === id)?.entries.map(({ line }) => line) ?? [];
  // The events first: their examples make the rows that the views show. -i prints nothing beside `-o`.
  for (const line of lines('events')) expect(await statusOf(line), line).toMatch(/^20[12]$/);
  // The account of a key without a claim is none.
  for (const line of ['views', 'features'].flatMap(lines))
    expect(await statusOf(line), line).toBe(line.includes('/v1/account') ? '404' : '200');
  const streams = lines('entities');
  expect(await Promise.all(streams.map(statusOf))).toEqual(streams.map(() => '200'));
  // No version of these is published: two say so, and the third is asked with a placeholder in its request.
  expect(await Promise.all(lines('models').map(statusOf))).toEqual(['503', '503', '400']);
});
