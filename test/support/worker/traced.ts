/** The worker of the tests, which also answers at `/trace` with the functions that ran since the last question. */
import type { Env } from '../../../src/composition/env.ts';
import worker from './index.ts';

export * from './index.ts';

const TRACE_PATH = '/trace';

export default {
  ...worker,
  fetch(request, env, ctx) {
    if (new URL(request.url).pathname !== TRACE_PATH) return worker.fetch(request, env, ctx);
    // The calls that `traced-build.ts` puts into each function fill the set.
    const ran: unknown = Reflect.get(globalThis, '__ran');
    if (!(ran instanceof Set)) throw new Error('The worker was not built by traced-build.ts.');
    const names: unknown[] = [...ran];
    ran.clear();
    return Response.json(names);
  },
} satisfies ExportedHandler<Env>;
