import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { WRITTEN_EXAMPLES } from '../../src/gateway/contract/written-examples.ts';
import { recordsIn } from '../../src/inference/feedback/record.ts';
import { differences } from '../support/gateway/agree.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';
import { PurchaseClient, purchaseOf } from './purchases.ts';

const Report = z.object({
  versions: z.array(
    z.object({
      version: z.string(),
      answers: z.object({ ranked: z.int(), degraded: z.int(), other: z.int() }),
      pending: z.object({ trials: z.int(), hits: z.int() }),
    }),
  ),
});

const Skew = z.object({
  ...{ matches: z.int(), mismatches: z.int(), unknown: z.int() },
  answers: z.array(z.object({ verdict: z.string(), why: z.string().nullable(), events: z.int() })),
});

let stack: Stack;
let client: PurchaseClient;
beforeAll(async () => {
  stack = await startStack({ FEEDBACK_PAUSE_MS: '0', FEEDBACK_SETTLE_MS: '0' });
  client = new PurchaseClient(stack);
});
afterAll(async () => await stack[Symbol.asyncDispose]());

async function report() {
  await stack.scheduled();
  const { status, json } = await stack.caller.ask('GET', '/v1/admin/models/ranker/feedback');
  expect(status).toBe(200);
  expect(differences(WRITTEN_EXAMPLES['getFeedback']?.['200'], json)).toEqual([]);
  return Report.parse(json).versions;
}

/** The lines of the log, and the files that they are in. */
async function logged() {
  const bucket = await stack.bucket();
  const { objects } = await bucket.list({ prefix: 'served/' });
  const texts = await Promise.all(objects.map(async ({ key }) => await (await bucket.get(key))?.text()));
  return { files: objects.length, records: texts.flatMap((text) => recordsIn(text ?? '')) };
}

const recommended = async (customer: string) =>
  await client.get(`/v1/customers/${customer}/recommendations`, { 'millrace-consistency': 'strong' });

describe('served predictions', () => {
  it('are logged once, and a purchase of a shown item within the window is a hit', async () => {
    const { status, json } = await client.publishModel();
    expect(status).toBe(201);
    // The join begins with its first step: it does not judge answers from before.
    await report();
    await client.send(['ada', 'bob'].map((customer) => purchaseOf(customer, '10001A')));
    for (const customer of ['ada', 'bob']) await client.folded(customer, 1);
    for (const customer of ['ada', 'bob', 'nobody']) await recommended(customer);
    const again = await recommended('ada');
    expect(again.cache).toContain('; hit');
    const of = { version: String(json['version']), pending: { trials: 2, hits: 0 } };
    // Nobody's features give the model nothing to rank by, so popularity answers.
    const answers = { ranked: 2, degraded: 0, other: 1 };
    await eventually(report, ([version]) => version?.answers.ranked === 2 && version.answers.other === 1);
    expect(await report()).toEqual([{ ...of, answers }]);
    const { files, records } = await logged();
    expect(records.map(({ key, source }) => [key, source]).sort()).toEqual([
      ['ada', 'model'],
      ['bob', 'model'],
      ['nobody', 'popularity'],
    ]);
    // A file has the answers of a pause, and a hit adds none.
    expect(files).toBeLessThanOrEqual(records.length);
    for (let hit = 0; hit < 20; hit += 1) expect((await recommended('ada')).cache).toContain('; hit');
    expect((await logged()).files).toBe(files);
    const [record] = records.filter(({ key }) => key === 'ada');
    expect(record).toMatchObject({
      ...{ id: again.json['predictionId'], model: 'ranker', version: of.version, entity: 'customer' },
      ...{ degraded: null, servedAgainS: 3_600, rollout: null, explored: null, answer: null },
      items: expect.arrayContaining([['10001A', expect.any(Number)]]),
      features: { digest: expect.stringMatching(/^[0-9a-f]{64}$/), newestEventAt: expect.any(Number) },
      moment: { epoch: expect.any(String), seq: expect.any(Number) },
    });
    await client.send([purchaseOf('ada', '10002B'), purchaseOf('bob', 'never-shown')]);
    const found = await eventually(report, ([version]) => version?.pending.hits === 1);
    expect(found).toEqual([{ ...of, answers, pending: { trials: 2, hits: 1 } }]);
  });

  it('are what their history gives, and a served answer that is not is found', async () => {
    const skew = async () => {
      const { status, json } = await stack.caller.ask('GET', '/v1/admin/models/ranker/skew');
      expect(status).toBe(200);
      expect(differences(WRITTEN_EXAMPLES['getSkew']?.['200'], json)).toEqual([]);
      return Skew.parse(json);
    };
    const { answers, ...found } = await skew();
    expect(found).toEqual({ matches: 2, mismatches: 0, unknown: 0 });
    // Ada had bought once when she asked, and has bought again since.
    expect(answers.map(({ events }) => events)).toEqual([1, 1]);
    // As if serving had counted a purchase that never happened.
    await stack.sql(
      `update millrace.events set data = jsonb_set(data, '{sku}', '"10009Z"')
       where data->>'customerId' = 'ada' and data->>'sku' = '10001A'`,
    );
    const planted = await skew();
    expect(planted).toMatchObject({ matches: 1, mismatches: 1 });
    expect(planted.answers.find(({ verdict }) => verdict === 'mismatch')?.why).toBe('features_differ');
    const metrics = async () => (await stack.caller.ask('GET', '/metrics')).text;
    const counted = /millrace_skew_checks_total\{model="ranker",verdict="mismatch"\} [1-9]/;
    await eventually(metrics, (text) => counted.test(text));
  });

  it('are no concern of a model that declares no feedback', async () => {
    const refused = await stack.caller.ask('GET', '/v1/admin/models/mood/feedback');
    expect(refused).toMatchObject({ status: 422, json: { code: 'unprocessable' } });
    const unknown = await stack.caller.ask('GET', '/v1/admin/models/none/feedback');
    expect(unknown).toMatchObject({ status: 404 });
  });
});
