import { TagClock } from '../durable-objects/tag-clock/object.ts';
import type { SyncRequest } from '../src/cache/clock/mirror.ts';
import type { Env } from '../src/composition/env.ts';
import { regionalClock, rootClock } from '../src/composition/objects.ts';
import { REGIONS } from '../src/platform/regions.ts';
import worker from '../test/support/worker/index.ts';

export * from '../test/support/worker/index.ts';

/** The clock as it would be if every push were lost: what the regions' own syncs do alone. */
export class TagClockWithoutPush extends TagClock {
  override async receive(): Promise<void> {}
}

/** The built worker, with two more routes by which a bench plays isolates of several regions. */
export default {
  ...worker,
  async fetch(request: Request<unknown, IncomingRequestCfProperties>, env: Env, ctx: ExecutionContext) {
    const { pathname } = new URL(request.url);
    if (pathname === '/bench/invalidate') {
      const tags: number[] = await request.json();
      return Response.json(await rootClock(env).invalidateTags(tags));
    }
    const region = REGIONS.find((name) => pathname === `/bench/sync/${name}`);
    if (region === undefined) return await worker.fetch(request, env, ctx);
    const asked: Omit<SyncRequest, 'atLeast'> = await request.json();
    return new Response(await regionalClock(env, region).sync({ ...asked, atLeast: undefined }));
  },
};
