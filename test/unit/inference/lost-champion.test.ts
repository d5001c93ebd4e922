import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../src/inference/bundle.ts';
import { type LostPorts, replaceIfLost } from '../../../src/inference/lost-champion.ts';

const manifestOf = (version: string, candidates?: { sha256: string; bytes: number }): Manifest => ({
  ...{ name: 'm', version, model: { sha256: `${version}-model`, bytes: 10 } },
  ...{ inputs: [], outputs: [], metrics: {}, baseline: {}, trainedFrom: {} },
  ...(candidates === undefined ? {} : { candidates }),
});
const [now, before] = [manifestOf('now', { sha256: 'now-items', bytes: 5 }), manifestOf('before')];
const STORED = { 'artifacts/now-model': 10, 'artifacts/now-items': 5, 'artifacts/before-model': 10 };

/** What becomes of the champion `now`, and which changes of the alias are tried. */
async function outcome(
  stored: Readonly<Record<string, number>>,
  previous: Manifest | null = before,
  isChanged = true,
) {
  const moves: string[] = [];
  const ports: LostPorts = {
    champion: async () => ({ manifest: now, previous }),
    bytesOf: async (key) => stored[key],
    moveBack: async (_, from, to) => {
      moves.push(`${from} > ${to}`);
      return isChanged;
    },
  };
  return [await replaceIfLost('m', ports), ...moves];
}

describe('a champion', () => {
  it('stays while all of its artifacts are there, and where there is none', async () => {
    expect(await outcome(STORED)).toEqual(['there']);
    const none = {
      champion: async () => undefined,
      bytesOf: async () => undefined,
      moveBack: async () => true,
    };
    expect(await replaceIfLost('m', none)).toBe('there');
  });

  it.each(['artifacts/now-model', 'artifacts/now-items'])(
    'is replaced when %s is lost or cut off',
    async (key) => {
      const { [key]: _, ...left }: Record<string, number> = STORED;
      expect(await outcome(left)).toEqual(['moved', 'now > before']);
      expect(await outcome({ ...STORED, [key]: 1 })).toEqual(['moved', 'now > before']);
      expect(await outcome(left, before, false)).toEqual(['changed', 'now > before']);
    },
  );

  it('stays where no version before is whole', async () => {
    expect(await outcome({}, null)).toEqual(['no_other']);
    expect(await outcome({ 'artifacts/now-model': 10 })).toEqual(['no_other']);
  });
});
