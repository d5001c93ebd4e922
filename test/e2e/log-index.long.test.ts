/** Lines of the log in the index that `npm run monitoring` describes, in a real OpenSearch. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { FOREIGN_LINE, LOG_STREAM } from '../../scripts/monitoring/logs.ts';
import { LOG_FIELDS } from '../../src/platform/log-fields.ts';
import { log } from '../../src/platform/logger.ts';
import { SEARCH_JARS, SEARCH_TITLE, type SearchNode, startSearchNode } from '../support/node/search-node.ts';

const FOLDER = join(import.meta.dirname, '../../deploy/monitoring/elasticsearch');
const fileOf = (name: string) => readFileSync(join(FOLDER, `${name}.json`), 'utf8');
const TRACE = '0af7651916cd43dd8448eb211c80319c';

const Found = z.object({
  hits: z.object({ hits: z.array(z.object({ _source: z.record(z.string(), z.unknown()) })) }),
});
const Mappings = z.record(
  z.string(),
  z.object({ mappings: z.object({ dynamic: z.string(), properties: z.record(z.string(), z.unknown()) }) }),
);

describe.skipIf(SEARCH_JARS === undefined)(SEARCH_TITLE, () => {
  let node: SearchNode;
  const find = async (query: object) => {
    const { hits } = Found.parse(await node.ask('POST', `${LOG_STREAM}/_search`, JSON.stringify({ query })));
    return hits.hits.map(({ _source }) => _source);
  };

  beforeAll(async () => {
    node = await startSearchNode(SEARCH_JARS ?? '');
    await node.ask('PUT', '_ingest/pipeline/millrace-logs', fileOf('_ingest.pipeline.millrace-logs'));
    const mappings = '_component_template.millrace-logs-mappings';
    await node.ask('PUT', '_component_template/millrace-logs-mappings', fileOf(mappings));
    // OpenSearch has no index lifecycle management: its template leaves that part out.
    const template: object = JSON.parse(fileOf('_index_template.millrace-logs'));
    const composed = JSON.stringify({ ...template, composed_of: ['millrace-logs-mappings'] });
    await node.ask('PUT', '_index_template/millrace-logs', composed);
    const lines = [...writtenLines(), 'Uncaught Error: The customer Jane Doe is not welcome'];
    // What Logstash sends: the text of the line, and when it had it.
    const at = new Date().toISOString();
    const bulk = lines
      .map((line) => `{"create":{}}\n${JSON.stringify({ '@timestamp': at, message: line })}\n`)
      .join('');
    const stored = await node.ask('POST', `${LOG_STREAM}/_bulk?refresh=true`, bulk);
    expect(JSON.stringify(stored)).not.toContain('"reason"');
  });
  afterAll(() => node[Symbol.asyncDispose]());

  it('finds lines by route, trace, code and duration', async () => {
    const failed = { 'error.code': 'database_unavailable', 'trace.id': TRACE, message: 'A request failed.' };
    expect(await find({ term: { 'millrace.route': '/v1/customers/{id}' } })).toMatchObject([failed]);
    expect(await find({ term: { 'trace.id': TRACE } })).toHaveLength(2);
    expect(await find({ range: { 'event.duration': { gte: 1_000_000 } } })).toMatchObject([
      { 'http.response.status_code': 200 },
    ]);
    expect(await find({ match: { 'error.message': 'connection lost' } })).toHaveLength(1);
    expect(await find({ range: { '@timestamp': { gte: 'now-1h' } } })).toHaveLength(4);
  });

  it('keeps nothing of a line that Millrace has not written', async () => {
    expect(await find({ term: { 'event.kind': 'pipeline_error' } })).toMatchObject([
      { message: FOREIGN_LINE },
    ]);
    expect(JSON.stringify(await find({ match_all: {} }))).not.toMatch(/jane|doe/i);
  });

  it('has a mapping for each field of the table, and makes none', async () => {
    const [index] = Object.values(Mappings.parse(await node.ask('GET', `${LOG_STREAM}/_mapping`)));
    expect(index?.mappings.dynamic).toBe('false');
    const known = new Set(fieldsOf(index?.mappings.properties ?? {}));
    const all = (await find({ match_all: {} })).flatMap((source) => namesOf(source));
    for (const name of [...Object.keys(LOG_FIELDS), ...all]) expect(known).toContain(name);
  });

  it('rolls over and merges, as the lifecycle of Elasticsearch does', async () => {
    const lifecycle = z
      .object({
        policy: z.object({
          phases: z.object({
            hot: z.object({ actions: z.object({ rollover: z.object({ max_age: z.string() }) }) }),
          }),
        }),
      })
      .parse(JSON.parse(fileOf('_ilm.policy.millrace-logs')));
    const { max_age } = lifecycle.policy.phases.hot.actions.rollover;
    const asked = await node.ask(
      'POST',
      `${LOG_STREAM}/_rollover?dry_run=true`,
      JSON.stringify({ conditions: { max_age } }),
    );
    expect(asked).toMatchObject({ conditions: { [`[max_age: ${max_age}]`]: false } });
    expect(await node.ask('POST', `${LOG_STREAM}/_rollover`)).toMatchObject({ rolled_over: true });
    await node.ask('POST', `.ds-${LOG_STREAM}-000001/_forcemerge?max_num_segments=1`);
    expect(await find({ term: { 'trace.id': TRACE } })).toHaveLength(2);
  });
});

/** Lines as the logger writes them. */
function writtenLines(): string[] {
  const lines: string[] = [];
  const take = (line: string) => void lines.push(line);
  const spies = (['log', 'warn', 'error'] as const).map((level) =>
    vi.spyOn(console, level).mockImplementation(take),
  );
  const request = { 'http.request.method': 'GET', 'trace.id': TRACE, 'span.id': 'b7ad6b7169203331' };
  const failed = { ...request, 'millrace.route': '/v1/customers/{id}', 'error.code': 'database_unavailable' };
  log('warn', 'A request failed.', failed, new Error('Network connection lost.'));
  const answered = { 'millrace.route': '/v1/products', 'http.response.status_code': 200 };
  log('info', 'A request was answered.', { ...request, ...answered, 'event.duration': 2_000_000 });
  log('error', 'A rollout took a step.', { 'millrace.model.name': 'ranker', 'millrace.rollout.share': 0.25 });
  for (const spy of spies) spy.mockRestore();
  return lines;
}

/** The full names of the members of a line, whether its names have dots or its members have members. */
function namesOf(of: object, prefix = ''): string[] {
  return Object.entries(of).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null ? namesOf(value, `${prefix}${name}.`) : [`${prefix}${name}`],
  );
}

/** The full names of the fields of a mapping. */
function fieldsOf(properties: Readonly<Record<string, unknown>>, prefix = ''): string[] {
  return Object.entries(properties).flatMap(([name, of]) => {
    const inner: unknown = typeof of === 'object' && of !== null ? Reflect.get(of, 'properties') : undefined;
    const full = `${prefix}${name}`;
    return typeof inner === 'object' && inner !== null ? fieldsOf({ ...inner }, `${full}.`) : [full];
  });
}
