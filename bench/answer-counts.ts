/** What counting costs a warm hit, in Node: `node bench/answer-counts.ts`. Medians of rounds, nanoseconds a call. */

import type { CachedAnswer } from '../src/cache/cached-answer.ts';
import { bodyAndEtag } from '../src/cache/entry.ts';
import type { ReadRequest } from '../src/cache/read-through.ts';
import { cachePolicy } from '../src/define/cache-policy.ts';
import { AnswerCounts, Observation } from '../src/operations/observation.ts';
import { sleep, systemNow } from '../src/platform/clock.ts';
import { sha256Hex } from '../src/platform/digest.ts';
import { newId } from '../src/platform/ids.ts';
import { systemRandom } from '../src/platform/random.ts';
import { median } from './support/load.ts';

const CALLS = 2_000_000;
const ROUNDS = 9;
const VIEWS = ['product', 'products', 'customer', 'customer-purchases', 'ranker'];

const entry = { ...(await bodyAndEtag({}, sha256Hex)), tagHashes: [], epoch: 'e', stamp: 0, filledAt: 0 };
const loaded = { value: {}, tags: [], storable: true };
const requests: ReadRequest[] = VIEWS.map((view) => ({
  view,
  key: view,
  policy: cachePolicy(),
  consistency: { level: undefined, atLeast: undefined },
  load: async () => loaded,
}));
const rest = {
  entry,
  unverified: undefined,
  ageS: 0,
  ttlS: 1,
  maxAgeS: 0,
  judgedSeq: 0,
  mirrorAgeMs: 0,
  token: 'e.0',
};
const answers: CachedAnswer[] = (['memory', 'memory', 'memory', 'colo', 'kv'] as const).map((tier) => ({
  ...rest,
  source: { hit: true, tier, stale: false },
}));

function measure(name: string, call: (request: ReadRequest, answer: CachedAnswer) => void): void {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAt = performance.now();
    for (let at = 0; at < CALLS; at += 1) {
      const request = requests[at % requests.length];
      const answer = answers[(at >> 3) % answers.length];
      if (request !== undefined && answer !== undefined) call(request, answer);
    }
    rounds.push(((performance.now() - startedAt) / CALLS) * 1e6);
  }
  console.log(`${name.padEnd(58)} ${median(rounds).toFixed(0).padStart(5)} ns`);
}

const observation = (share: number) =>
  new Observation(newId, () => 0, {
    share,
    now: systemNow,
    random: systemRandom,
    sleep,
    digest: sha256Hex,
    send: async () => undefined,
    root: { sync: () => Promise.reject(new Error('No probe differs here.')) },
    invalidate: async () => undefined,
  });
const context = { keepAlive: () => undefined };

const counts = new AnswerCounts();
const [off, on] = [observation(0), observation(0.01)];
measure('the loop alone', () => undefined);
measure('asking for the time', () => void systemNow());
measure('counting an answer', (request, answer) => counts.record(request.view, answer));
measure('counting, flushing when due, the probe off', (request, answer) =>
  off.answered(request, answer, context),
);
measure('counting, flushing when due, one hit in 100 drawn', (request, answer) =>
  on.answered(request, answer, context),
);
