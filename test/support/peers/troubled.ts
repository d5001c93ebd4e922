import { FIXTURE } from '../node/fixture.ts';
import { type Stack, startStack } from '../node/stack.ts';
import { Client } from './client.ts';

/** A stack whose peers a test can let hang or fail, with published models, and its client. */
export async function startTroubled(
  vars: Readonly<Record<string, string>> = {},
): Promise<{ readonly stack: Stack; readonly client: Client }> {
  const stack = await startStack(vars, { served: { ...FIXTURE, main: 'test/support/worker/troubled.ts' } });
  const client = new Client(stack);
  await client.publish();
  return { stack, client };
}
