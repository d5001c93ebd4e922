import * as z from 'zod';
import type { PhaseName, PhaseState } from '../../../src/platform/phases.ts';
import type { Stack } from '../node/stack.ts';

const Issued = z.object({ key: z.string() });

/** Two principals who switch phases: where gates do not hold, one asks and the other approves. */
export class Operators {
  readonly #stack: Pick<Stack, 'caller'>;
  readonly #second: Stack['caller'];

  private constructor(stack: Pick<Stack, 'caller'>, second: Stack['caller']) {
    this.#stack = stack;
    this.#second = second;
  }

  static async of(stack: Pick<Stack, 'caller'>): Promise<Operators> {
    const scopes = ['operations:read', 'operations:write'];
    const { json } = await stack.caller.ask('POST', '/v1/admin/keys', {
      json: { name: 'second operator', scopes },
      headers: { isolate: 'operator' },
    });
    return new Operators(stack, stack.caller.as(Issued.parse(json).key));
  }

  /** Approves, as the second operator. */
  async approve(phase: PhaseName) {
    const headers = { isolate: 'second operator' };
    return await this.#second.ask('POST', `/v1/admin/phases/${phase}/approve`, { headers });
  }

  /** The answer to a switch, which is approved if gates do not hold. */
  async switch(phase: PhaseName, state: PhaseState) {
    const json = { state, reason: 'a test', ...(state === 'on' ? { override: true } : {}) };
    const asked = { json, headers: { isolate: 'operator' } };
    const answer = await this.#stack.caller.ask('PUT', `/v1/admin/phases/${phase}`, asked);
    return answer.status === 202 ? await this.approve(phase) : answer;
  }
}
