import { SELF } from 'cloudflare:test';
import { expect, it } from 'vitest';
import * as z from 'zod';
import { FAULTS, type Fault, inMode, MODES, type Mode, validEvent } from '../support/event-faults.ts';

const Problem = z.object({ code: z.string(), pointer: z.string().default('') });
const Report = z.object({ verdicts: z.array(Problem).length(1) });

/** The verdict on one event. In a batch it is part of the report, whose status is 207. */
async function verdictOn(mode: Mode, { change }: Pick<Fault, 'change'>) {
  const { headers, body } = inMode(mode, change(validEvent(crypto.randomUUID())));
  const response = await SELF.fetch('https://shop.test/v1/events', {
    method: 'POST',
    headers: { ...headers, authorization: 'Bearer test-key' },
    body,
  });
  const answer: unknown = await response.json();
  if (mode !== 'batched' || response.status !== 207) {
    const { code, pointer } = Problem.parse(answer);
    return { status: response.status, code, pointer };
  }
  const [verdict] = Report.parse(answer).verdicts;
  return { status: 422, code: verdict?.code, pointer: verdict?.pointer };
}

it.each(FAULTS)('$name has the same verdict in every mode', async (fault) => {
  const { status, code, pointer } = fault;
  const verdicts = await Promise.all(MODES.map(async (mode) => [mode, await verdictOn(mode, fault)]));
  expect(Object.fromEntries(verdicts)).toEqual(
    Object.fromEntries(MODES.map((mode) => [mode, { status, code, pointer }])),
  );
});

it.each(MODES)('an event without a fault is taken in %s mode', async (mode) => {
  const { headers, body } = inMode(mode, validEvent(crypto.randomUUID()));
  const response = await SELF.fetch('https://shop.test/v1/events', {
    method: 'POST',
    headers: { ...headers, authorization: 'Bearer test-key' },
    body,
  });
  expect(response.status).toBe(202);
  await response.body?.cancel();
});
