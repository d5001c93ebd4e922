/**
 * A worker whose start is a known amount of work, the same on every machine: `startup.ts` measures a start in multiples
 * of it. An empty worker is no unit: its start has one sample of the profiler, or none.
 */
const ROUNDS = 5_000_000;

let sum = 0;
for (let round = 0; round < ROUNDS; round += 1) sum = (Math.imul(sum, 31) + round) | 0;

export default { fetch: () => Response.json({ sum }) };
