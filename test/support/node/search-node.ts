import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The folder with the jars and the class of a node of OpenSearch (`test/e2e/search`); without it none is tested. */
export const SEARCH_JARS = process.env['TEST_SEARCH_JARS'];
export const SEARCH_TITLE =
  SEARCH_JARS === undefined ? 'OpenSearch (skipped: TEST_SEARCH_JARS names no folder)' : 'OpenSearch';

export interface SearchNode extends AsyncDisposable {
  /** @throws Error with the answer, if its status is not 2xx. */
  ask(method: string, path: string, body?: string): Promise<unknown>;
}

/** A real node of OpenSearch with its data in a folder that goes with it. */
export async function startSearchNode(jars: string): Promise<SearchNode> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-search-'));
  // Log4j finds no configuration, and warnings of the runtime are about its own jars.
  const java = [
    '-Xmx512m',
    '-XX:TieredStopAtLevel=1',
    '-cp',
    `${join(jars, '*')}:${jars}`,
    'SearchNode',
    folder,
  ];
  const node = spawn('java', java, { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = new Promise<void>((resolve) => node.once('exit', () => resolve()));
  const address = await new Promise<string>((resolve, reject) => {
    createInterface({ input: node.stdout }).on('line', (line) => {
      if (/^127\.0\.0\.1:\d+$/.test(line)) resolve(line);
    });
    node.once('exit', () => reject(new Error('The node of OpenSearch ended.')));
  });
  return {
    ask: async (method, path, body) => {
      const type = path.endsWith('_bulk?refresh=true') ? 'application/x-ndjson' : 'application/json';
      const sent = body === undefined ? {} : { body, headers: { 'content-type': type } };
      const answer = await fetch(`http://${address}/${path}`, { method, ...sent });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return JSON.parse(text);
    },
    [Symbol.asyncDispose]: async () => {
      node.stdin.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
