import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { partOf } from '../../support/node/part.ts';
import { KEY, type Stack, startStack } from '../../support/node/stack.ts';
import { CASES, type Expected, expectedOf, sentBy, storedOf } from './cases.ts';
import { type Answer, CLIENTS, type Client, type ClientName, type Mode, type SentEvent } from './client.ts';

const MODES = ['structured', 'binary'] as const;
/** A client that hangs is ended before. */
const TIMEOUT_MS = 120_000;
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
}, TIMEOUT_MS);
afterAll(() => stack[Symbol.asyncDispose]());

describe.each(partOf(CLIENTS, 2))('the SDK of $name', (client) => {
  const title = client.missing === undefined ? 'sends' : `sends (skipped: ${client.missing})`;
  describe.skipIf(client.missing !== undefined)(title, () => sdk(client));
});

const TABLE = MODES.flatMap((mode) => CASES.map((one) => ({ mode, title: one.title, one })));

function sdk({ name, send }: Client): void {
  let answers: readonly Answer[] = [];
  const batch = CASES.map((one) => sentBy(name, 'batch', one));
  beforeAll(async () => {
    const single = TABLE.map(({ mode, one }) => ({ mode, events: [sentBy(name, mode, one)] }));
    answers = await send(stack.url, [...single, { mode: 'batch', events: batch }]);
    expect(answers).toHaveLength(single.length + 1);
  }, TIMEOUT_MS);

  it.each(TABLE.map((row, index) => ({ ...row, index })))(
    '$title, in $mode mode',
    async ({ mode, one, index }) => {
      const expected = expectedOf(name, mode, one);
      expect(answers[index]).toMatchObject(answerOf(expected));
      await expectFound(name, mode, sentBy(name, mode, one), expected);
    },
  );

  it('all of them in a batch', async () => {
    const expected = CASES.map((one) => expectedOf(name, 'batch', one));
    const refused = expected.flatMap((one, index) => (one === 'stored' ? [] : [{ index, ...one }]));
    expect(answers.at(-1)).toMatchObject({
      status: 207,
      body: { accepted: CASES.length - refused.length, quarantined: refused.length, verdicts: refused },
    });
    for (const [index, sent] of batch.entries())
      await expectFound(name, 'batch', sent, expected[index] ?? 'stored');
  });
}

function answerOf(expected: Expected): object {
  if (expected === 'stored') return { status: 201, body: { accepted: 1 } };
  if ('notSent' in expected) return { error: expect.stringMatching(expected.notSent) };
  return { status: 422, body: expected };
}

/** Finds a stored event with everything that the SDK was given, a refused one in quarantine, and another one nowhere. */
async function expectFound(
  client: ClientName,
  mode: Mode,
  sent: SentEvent,
  expected: Expected,
): Promise<void> {
  const status = await statusOf(sent);
  if (expected === 'stored') {
    const { status: shown, data } = storedOf(client, mode, sent);
    const { recordedAt, invalidated, time, ...rest } = status;
    expect([recordedAt, invalidated, time]).toEqual([
      expect.any(String),
      expect.anything(),
      expect.any(String),
    ]);
    expect({ time, ...rest }).toEqual({ time, ...shown, status: 'stored' });
    const { source, id } = sent.attributes;
    const rows = await stack.sql('select data from millrace.events where source = $1 and id = $2', [
      source,
      id,
    ]);
    expect(rows).toEqual([{ data }]);
  } else if ('code' in expected && expected.pointer.startsWith('/')) {
    const { code: reason, pointer } = expected;
    expect(status).toMatchObject({ status: 'quarantined', reason, pointer });
  } else {
    expect(status).toMatchObject({ code: 'not_found' });
  }
}

async function statusOf({
  attributes: { source = '', id = '' },
}: SentEvent): Promise<Record<string, unknown>> {
  const path = `/v1/events/${encodeURIComponent(source)}/${encodeURIComponent(id)}`;
  const response = await stack.fetch(path, { headers: { authorization: `Bearer ${KEY}` } });
  return (await response.json()) as Record<string, unknown>;
}
