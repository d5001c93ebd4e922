/** What the built worker logs while somebody sends personal data at every place where input comes in. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { LOG_FIELDS } from '../../src/platform/log-fields.ts';
import { type Sample, samples } from '../support/gateway/operations.ts';
import { IS_PART, partOf } from '../support/node/part.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const PERSON =
  'Jaqueline Quillfeather <jaqueline.quillfeather@mail.example.org>, +442079460958, 4929123456789012';
/** Short enough for a key. */
const SHORT = 'Quillfeather';
/** What no line may contain, in any case and encoding. */
const TRACES = ['jaqueline', 'quillfeather', 'example.org', '2079460958', '4929123456789012'];

let stack: Stack;
const known = Object.entries(await samples());
/** In a part, those whose statements and messages have what was sent, and every few of the others. */
const CHOSEN = [
  ...known.filter(([name]) => IS_PART && /^(?:GET|PUT|POST) \/v1\/(?:customers|events)/.test(name)),
  ...partOf(known, 12),
];
beforeAll(async () => {
  // With traces of all requests, the lines have their ids; nobody takes the spans.
  stack = await startStack(
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_TRACES_SAMPLER: 'always_on',
      LOG_REQUESTS: 'kept',
    },
    { outages: true },
  );
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

/** The value with a person in the place of each text, or with one more property that is one. */
function planted(value: unknown, who = PERSON): unknown {
  if (typeof value === 'string') return who;
  if (Array.isArray(value)) return value.map((one) => planted(one, who));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, planted(member, who)]));
}

function withMore(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [PERSON];
  return { ...value, [PERSON]: { name: PERSON } };
}

const HEADERS = {
  'user-agent': PERSON,
  'cf-ray': PERSON,
  'x-request-id': PERSON,
  'idempotency-key': `"${PERSON}"`,
  traceparent: PERSON,
  baggage: `user=${encodeURIComponent(PERSON)}`,
  cookie: `session=${PERSON}`,
  'if-match': `"${PERSON}"`,
  origin: `https://${encodeURIComponent(PERSON)}`,
  'accept-language': PERSON,
  prefer: PERSON,
  'millrace-consistency': PERSON,
  'millrace-token': PERSON,
  'ce-subject': PERSON,
};

/** Requests to one operation with a person at each of its places. */
function* requestsTo(name: string, { path, body, type }: Sample): Generator<[string, RequestInit]> {
  const [method = ''] = name.split(' ', 1);
  const authorization = `Bearer ${KEY}`;
  const asks = (headers: Record<string, string>, sent?: string): RequestInit => ({
    method,
    headers: {
      authorization,
      ...(sent === undefined ? {} : { 'content-type': type ?? 'application/json' }),
      ...headers,
    },
    ...(sent === undefined ? {} : { body: sent }),
  });
  const text = body === undefined ? undefined : JSON.stringify(body);
  const [address = '', query = ''] = path.split('?');
  const last = address.split('/').findLastIndex((part) => /^[A-Z\d]|^expected-spend|^ranker/.test(part));
  const person = encodeURIComponent(PERSON);
  const named = (who: string) =>
    `${address
      .split('/')
      .map((part, at) => (at === last ? encodeURIComponent(who) : part))
      .join('/')}${query && `?${query}`}`;
  yield [path, asks(HEADERS, text)];
  yield [path, { ...asks({ authorization: `Bearer ${PERSON}` }, text) }];
  yield [named(PERSON), asks({}, text)];
  yield [named(SHORT), asks({}, text)];
  // What fits every schema reaches the statements, and what the database says of them.
  yield [named(SHORT), asks({}, JSON.stringify(planted(body, SHORT)))];
  yield [
    `${address}?${query.replaceAll(/=[^&]*/g, `=${person}`)}&${person}=${person}&limit=${person}&after=${person}`,
    asks({}, text),
  ];
  if (body === undefined) return;
  yield [path, asks({}, JSON.stringify(planted(body)))];
  yield [path, asks({}, JSON.stringify(withMore(body)))];
  yield [path, asks({}, `{"name": ${PERSON}`)];
  yield [path, asks({ 'content-type': PERSON, 'content-encoding': 'gzip' }, PERSON)];
}

async function plantEverywhere(): Promise<number> {
  const asked = CHOSEN.flatMap(([name, sample]) => [...requestsTo(name, sample)]);
  let server = 0;
  const send = async ([path, init]: [string, RequestInit]) => {
    const ends = AbortSignal.timeout(20_000);
    try {
      const answer = await stack.fetch(path, { ...init, signal: ends });
      await answer.body?.cancel();
      if (answer.status >= 500) server += 1;
    } catch {
      // A stream that does not end, or a header that no client may send.
    }
  };
  const queue = [...asked];
  await Promise.all(
    Array.from({ length: 24 }, async () => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) await send(next);
    }),
  );
  return server;
}

const Line = z.looseObject({
  '@timestamp': z.iso.datetime(),
  'log.level': z.enum(['info', 'warn', 'error']),
  message: z.string(),
  'service.name': z.literal('millrace'),
});

function lines() {
  return stack.logs().map(({ message }) => message);
}
const ownLines = () =>
  lines()
    .filter((line) => line.includes('"log.level"'))
    .map((line) => Line.parse(JSON.parse(line)));

it('no line names anybody, whatever is sent, while the database answers and while it does not', async () => {
  // What the database itself says of a row: a message of a trigger, and the detail of a constraint.
  await stack.sql(`create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'The customer % is not welcome', new.id using errcode = 'P0001'; end $$`);
  await stack.sql(
    'create trigger refuse before insert or update on customers for each row execute function refuse()',
  );
  await plantEverywhere();
  await stack.sql('drop trigger refuse on customers');
  await stack.pauseDatabase();
  const failed = await plantEverywhere();
  expect(failed).toBeGreaterThan(IS_PART ? 0 : 20);
  await stack.resumeDatabase();
  await eventually(
    async () => ownLines().length,
    (count) => count > 5,
  );
  for (const line of lines())
    for (const trace of TRACES)
      expect(decodeURIComponent(line.replaceAll('%', '%25')).toLowerCase()).not.toContain(trace);
});

it('each line has the fields of the table, and those of requests have the ids of their trace', () => {
  const always = ['@timestamp', 'log.level', 'message', 'ecs.version', 'service.name', 'service.version'];
  const errors = ['error.type', 'error.message', 'error.stack_trace', 'millrace.causes'];
  const all = new Set([...always, ...errors, ...Object.keys(LOG_FIELDS)]);
  for (const line of ownLines()) expect(Object.keys(line).filter((name) => !all.has(name))).toEqual([]);
  const failed = ownLines().filter(({ message }) => message === 'A request failed.');
  expect(failed.length).toBeGreaterThan(0);
  for (const line of failed)
    expect(line).toMatchObject({ 'trace.id': expect.stringMatching(/^[\da-f]{32}$/) });
});
