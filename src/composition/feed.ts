import type { FeedPorts } from '../gateway/routes/changes.ts';
import { calling, Failure } from '../platform/failure.ts';
import type { Env } from './env.ts';
import { changeFeed } from './objects.ts';

/** The ports of the live feed. */
export function feedPorts(env: Env, keepAlive: (work: Promise<unknown>) => void): FeedPorts {
  return {
    next: async (question) => {
      const ask = () => changeFeed(env).next(question);
      const page = await calling(ask, 'feed_unavailable', 'The feed does not answer.', 5);
      if (page !== null) return page;
      throw new Failure(
        'feed_unavailable',
        'All places of the feed are taken. Connect again later; streams that have begun are not affected.',
        { retryAfterS: 5 },
      );
    },
    leave: (id) =>
      keepAlive(
        changeFeed(env)
          .leave(id)
          .catch(() => undefined),
      ),
  };
}
