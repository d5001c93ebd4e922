import type { SeedPorts } from '../../../src/define/project.ts';
import { LineIdentity, toCloudEvent } from '../import/event.ts';
import { generateLines, SEED_SOURCE } from './generator.ts';

const SHOP = { seed: 1, customers: 4_500, lines: 60_000 };

/** Fills an empty database with a made-up shop: the lines are those that the importer would send. */
export async function seedShop({ now, send }: SeedPorts): Promise<string> {
  const { accepted, refused } = await send(shopEvents(now));
  return `a made-up shop: ${(accepted + refused).toLocaleString('en')} invoice lines of 13 months, ${refused} of them in quarantine`;
}

function* shopEvents(until: number) {
  const identity = new LineIdentity();
  for (const line of generateLines({ ...SHOP, until: new Date(until) }))
    yield toCloudEvent(line, { source: SEED_SOURCE, id: identity.idOf(line) });
}
