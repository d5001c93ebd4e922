import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { readyBlock } from '../../../scripts/dev/ready-block.ts';
import { curlOf, trialsOf } from '../../../scripts/dev/trials.ts';
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { view } from '../../../src/define/view.ts';

const NOW = Date.UTC(2026, 0, 1);
const STACK = {
  url: 'http://127.0.0.1:1',
  key: 'K',
  isExternal: false,
  kafka: undefined,
  seconds: 3,
};

describe('lines to try', () => {
  const at = { url: 'http://x', key: 'k' };

  it('quotes characters that a shell interprets', () => {
    const none = { views: [], models: [] };
    expect(curlOf({ get: '/v1/a?b=c&d=e' }, at, none)).toContain("curl -i 'http://x/v1/a?b=c&d=e'");
    const sent = curlOf({ send: { type: 't.v1', data: { text: "it's" } } }, at, none);
    expect(sent).toContain(`"data":{"text":"it'\\''s"}`);
    expect(sent).toContain("-H 'authorization: Bearer k'");
    // The shell makes another id at each run, outside the quotes.
    expect(sent).toContain(`"id":"try-'$(date +%s%N)'"`);
    expect(sent).toContain("-H 'prefer: wait'");
  });

  it('send the key to closed routes, and not to public ones', () => {
    const thing = (path: `/v1/${string}`, isPublic: boolean) =>
      view({
        name: path.slice(4).replaceAll(/[^a-z]/g, '-'),
        path,
        public: isPublic,
        description: 'A thing.',
        params: path.includes('{id}') ? { id: z.string() } : {},
        response: z.object({}),
        load: async () => ({}),
        tags: () => [],
      });
    const views = [thing('/v1/open/{id}', true), thing('/v1/closed/{id}', false)];
    expect(curlOf({ get: '/v1/open/1?x=y' }, at, { views, models: [] })).toBe(
      "curl -i 'http://x/v1/open/1?x=y'",
    );
    expect(curlOf({ get: '/v1/closed/1' }, at, { views, models: [] })).toBe(
      "curl -i http://x/v1/closed/1 -H 'authorization: Bearer k'",
    );
  });

  it('report that an empty catalog has nothing to read, and what to do', () => {
    const block = readyBlock(STACK, defineCatalog({}), trialsOf(defineCatalog({}), NOW));
    expect(block).toContain('Millrace is ready after 3.0 s');
    expect(block).toContain('The catalog is empty');
    expect(block).toContain('npm run db:generate');
  });
});
