import { expect, it } from 'vitest';
import { partOf } from '../../../../../test/support/node/part.ts';
import { WatchedShop } from './watched-shop.ts';

// The demo's season begins after about 200 rows of its first version.
it.each(partOf([1, 2], 2))(
  'no drift is found in the rows of the season that a version learned from, and the next one at once: seed %i',
  async (seed) => {
    const shop = new WatchedShop(seed);
    await shop.train(1);
    expect(shop.serve(300, 'old')).toBeUndefined();
    expect(shop.serve(100, 'new')).toMatchObject({ isDrifting: true });
  },
);
