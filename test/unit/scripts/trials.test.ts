import { describe, expect, it } from 'vitest';
import { readyBlock } from '../../../scripts/dev/ready-block.ts';
import { curlOf, trialsOf } from '../../../scripts/dev/trials.ts';
import { defineCatalog } from '../../../src/define/define-catalog.ts';

const NOW = Date.UTC(2026, 0, 1);
const STACK = {
  url: 'http://127.0.0.1:1',
  key: 'K',
  endpoint: 'http://127.0.0.1:2/sql',
  kafka: undefined,
  seconds: 3,
};

describe('lines to try', () => {
  it('quotes what a shell would read otherwise', () => {
    const at = { url: 'http://x', key: 'k' };
    expect(curlOf({ get: '/v1/a' }, at)).toBe('curl -i http://x/v1/a');
    expect(curlOf({ get: '/v1/a?b=c&d=e' }, at)).toBe("curl -i 'http://x/v1/a?b=c&d=e'");
    const sent = curlOf({ send: { type: 't.v1', data: { text: "it's" } } }, at);
    expect(sent).toContain(`"data":{"text":"it'\\''s"}`);
    expect(sent).toContain("-H 'authorization: Bearer k'");
  });

  it('says of an empty catalog that there is nothing to read, and what to do', () => {
    const block = readyBlock(STACK, defineCatalog({}), trialsOf(defineCatalog({}), NOW));
    expect(block).toContain('Millrace is ready after 3.0 s');
    expect(block).toContain('The catalog is empty');
    expect(block).toContain('npm run db:generate');
  });
});
