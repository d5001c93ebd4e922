import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PEERS } from '../../../src/platform/peer.ts';
import { ANSWERABLE, asMarkdown, expected, SOON_MS, TABLE, TROUBLES } from '../../support/peers/table.ts';
import { ROOT } from './blocks.ts';

it('shows what each route answers while a peer hangs or fails, as the end-to-end test checks it', () => {
  expect(readFileSync(join(ROOT, 'docs/operations.md'), 'utf8')).toContain(asMarkdown());
});

it('names every peer', () => {
  expect(new Set(Object.keys(TABLE))).toEqual(new Set([...PEERS, 'database']));
});

it('has an answer within a second for every read that a cache can answer, whichever peer is in trouble', () => {
  const peers = Object.keys(TABLE) as (keyof typeof TABLE)[];
  for (const peer of peers)
    for (const trouble of TROUBLES)
      for (const route of ANSWERABLE)
        expect(expected(peer, trouble, route), `${peer}, ${trouble}, ${route}`).toEqual({
          status: 200,
          withinMs: SOON_MS,
        });
});
