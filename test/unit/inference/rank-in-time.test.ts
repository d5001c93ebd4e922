import { describe, expect, it } from 'vitest';
import type { Candidates } from '../../../src/define/candidates.ts';
import { model } from '../../../src/define/model.ts';
import type { FeatureRow } from '../../../src/features/shards.ts';
import { ArtifactLost } from '../../../src/inference/broken.ts';
import type { Manifest } from '../../../src/inference/bundle.ts';
import type { LoadedModel } from '../../../src/inference/loaded-models.ts';
import { type RankPorts, rankInTime } from '../../../src/inference/rank-in-time.ts';
import { DeadlinePassed } from '../../../src/platform/deadline.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { customer, product } from '../../support/catalog/entities.ts';
import { purchases } from '../../support/catalog/features.ts';

const CANDIDATES: Candidates = {
  has: () => true,
  popular: (limit) =>
    [
      { item: 'p1', score: 9 },
      { item: 'p2', score: 4 },
    ].slice(0, limit),
  assemble: (_, items) => {
    const ranked = items ?? ['a', 'b'];
    return { items: ranked, rows: Float32Array.from(ranked, (_item, index) => index) };
  },
};
const manifestOf = (version: string): Manifest => ({
  name: 'm',
  version,
  model: { sha256: '0'.repeat(64), bytes: 1 },
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
  outputs: [{ name: 'v', datatype: 'FP32', shape: [-1, 1] }],
  metrics: {},
  baseline: {},
  trainedFrom: {},
});
const [CHAMPION, PREVIOUS] = [manifestOf('champion'), manifestOf('previous')];
const ranking = (fallback?: readonly string[]) =>
  model.ranking({
    ...{ name: 'm', description: 'A model.', entity: customer, path: '/v1/c/{id}/r', itemEntity: product },
    ...{ columns: ['x'], features: { bought: purchases.window(30) }, parseCandidates: () => CANDIDATES },
    ...(fallback === undefined ? {} : { fallback }),
  });
/** Scores rows by their position, so the last item is first. */
const versionOf = (manifest: Manifest, fails = false): LoadedModel => ({
  manifest,
  candidates: CANDIDATES,
  graph: {
    ...{ inputs: manifest.inputs, outputs: manifest.outputs },
    run: async ({ x }) => {
      if (fails || x === undefined) throw new Error('inside of the graph');
      return { v: x };
    },
  },
});
const HANGS = new Promise<never>(() => undefined);
const away = (code: 'features_unavailable' | 'model_unavailable' | 'database_unavailable') => async () => {
  throw new Failure(code, 'away');
};

interface World extends Partial<Pick<RankPorts, 'champion' | 'load' | 'watched' | 'isOff'>> {
  readonly read?: () => Promise<FeatureRow[]>;
  /** The versions in memory. */
  readonly memory?: readonly LoadedModel[];
  readonly isLate?: boolean;
  readonly fallback?: readonly string[];
  readonly items?: readonly string[];
  readonly check?: () => Promise<void>;
}

async function ranked({ memory = [], isLate = false, fallback, items, check, ...world }: World) {
  const kept: Promise<unknown>[] = [];
  const asked = {
    key: 'ada',
    items,
    limit: 5,
    now: 0,
    include: [],
    ...(check === undefined ? {} : { check }),
  };
  const answer = await rankInTime(ranking(fallback), asked, {
    champion: async () => ({ manifest: CHAMPION, isCurrent: true, previous: PREVIOUS }),
    load: async (manifest) => versionOf(manifest),
    ...world,
    loaded: (manifest) => memory.find((loaded) => loaded.manifest === manifest),
    features: world.read ?? (async () => [{}]),
    deadline: {
      within: async (work) => {
        if (!isLate) return await work;
        await new Promise((resolve) => setImmediate(resolve));
        throw new DeadlinePassed('The time has passed.');
      },
    },
    keepAlive: (work) => kept.push(work),
  });
  const { ranking: made, manifest } = answer;
  return [made.source, made.degraded, manifest?.version, made.items.map(({ item }) => item)];
}

const CHAMPION_IN_MEMORY = [versionOf(CHAMPION)];
const PREVIOUS_IN_MEMORY = [versionOf(PREVIOUS)];
const late = { isLate: true } as const;

describe('a ranking whose champion was lost in the store', () => {
  const lost = new Failure('model_unavailable', 'The model cannot be loaded.', {
    cause: new ArtifactLost('the store has no artifact'),
  });

  it.each([
    { what: 'is that of the version before, which is loaded for it', failure: lost, source: 'previous' },
    {
      what: 'loads nothing else while the store does not answer',
      failure: new Failure('model_unavailable', 'The model cannot be loaded.', { cause: new Error('away') }),
      source: 'fallback',
    },
  ])('$what', async ({ failure, source }) => {
    const memory: LoadedModel[] = [];
    const load: RankPorts['load'] = async (manifest) => {
      if (manifest === CHAMPION) throw failure;
      memory.push(versionOf(manifest));
      return versionOf(manifest);
    };
    expect((await ranked({ load, memory, fallback: ['z'] })).slice(0, 2)).toEqual([
      source,
      'model_unavailable',
    ]);
  });
});

describe('a ranking', () => {
  it('shows the row of the best candidate to who watches for drift, unless it was asked for some items', async () => {
    const seen: unknown[] = [];
    const watched: RankPorts['watched'] = ({ name }, version, row) => seen.push([name, version, row()]);
    await ranked({ watched });
    expect(seen).toEqual([['m', 'champion', { columns: ['x', '(score)'], values: [1, 1] }]]);
    await ranked({ watched, items: ['a', 'b'] });
    await ranked({ watched, load: async () => versionOf(CHAMPION, true), memory: PREVIOUS_IN_MEMORY });
    expect(seen).toHaveLength(1);
  });

  it.each<readonly [string, World, unknown[]]>([
    ["is the champion's", {}, ['model', undefined, 'champion', ['b', 'a']]],
    [
      'is that of the version before while the champion is being loaded',
      { ...late, load: () => HANGS, memory: PREVIOUS_IN_MEMORY },
      ['previous', 'deadline_exceeded', 'previous', ['b', 'a']],
    ],
    [
      'is that of the version before if the champion cannot be loaded',
      { load: away('model_unavailable'), memory: PREVIOUS_IN_MEMORY },
      ['previous', 'model_unavailable', 'previous', ['b', 'a']],
    ],
    [
      'is that of the version before if the graph of the champion fails',
      { load: async () => versionOf(CHAMPION, true), memory: PREVIOUS_IN_MEMORY },
      ['previous', 'model_failed', 'previous', ['b', 'a']],
    ],
    [
      'is popularity if both graphs fail',
      { load: async () => versionOf(CHAMPION, true), memory: [versionOf(PREVIOUS, true)] },
      ['popularity', 'model_failed', 'champion', ['p1', 'p2']],
    ],
    [
      'is popularity while the features hang',
      { ...late, read: () => HANGS, memory: CHAMPION_IN_MEMORY },
      ['popularity', 'deadline_exceeded', 'champion', ['p1', 'p2']],
    ],
    [
      'is popularity if the features are away',
      { read: away('features_unavailable'), memory: CHAMPION_IN_MEMORY },
      ['popularity', 'features_unavailable', 'champion', ['p1', 'p2']],
    ],
    [
      'has the items of the request in the order of popularity',
      { ...late, read: () => HANGS, memory: CHAMPION_IN_MEMORY, items: ['x', 'p2', 'p1'] },
      ['popularity', 'deadline_exceeded', 'champion', ['p1', 'p2', 'x']],
    ],
    [
      'is popularity while the database cannot say whether the items exist',
      { check: away('database_unavailable'), memory: CHAMPION_IN_MEMORY, items: ['p2', 'p1'] },
      ['popularity', 'database_unavailable', 'champion', ['p1', 'p2']],
    ],
    [
      'is what is declared if no version is in memory',
      { ...late, load: () => HANGS, fallback: ['d1', 'd2'] },
      ['fallback', 'deadline_exceeded', 'champion', ['d1', 'd2']],
    ],
    [
      'is what is declared if the registry hangs',
      { ...late, champion: () => HANGS, fallback: [] },
      ['fallback', 'deadline_exceeded', undefined, []],
    ],
    [
      'is what is declared if no version has been published',
      { champion: async () => null, fallback: ['d1'] },
      ['fallback', 'model_unavailable', undefined, ['d1']],
    ],
    [
      'has no items if nothing is at hand',
      { ...late, load: () => HANGS },
      ['fallback', 'deadline_exceeded', 'champion', []],
    ],
    [
      'has the items of the request as they came if nothing is at hand',
      { ...late, champion: () => HANGS, items: ['b', 'a'] },
      ['fallback', 'deadline_exceeded', undefined, ['b', 'a']],
    ],
  ])('%s', async (_, world, expected) => {
    expect(await ranked(world)).toEqual(expected);
  });

  it('fails if nothing can answer, and for an item that does not exist', async () => {
    await expect(ranked({ load: away('model_unavailable') })).rejects.toMatchObject({
      code: 'model_unavailable',
    });
    await expect(ranked({ read: away('features_unavailable') })).rejects.toMatchObject({
      code: 'features_unavailable',
    });
    const check = async () => {
      throw new Failure('unknown_item', 'There is no such item.');
    };
    await expect(ranked({ check, memory: CHAMPION_IN_MEMORY })).rejects.toMatchObject({
      code: 'unknown_item',
    });
  });
});

describe('a ranking while the phase is off', () => {
  it.each<readonly [string, World, unknown[]]>([
    [
      'is popularity, and no graph is run and no feature read',
      {
        isOff: () => true,
        load: async () => versionOf(CHAMPION, true),
        memory: CHAMPION_IN_MEMORY,
        read: async () => {
          throw new Error('A feature was read.');
        },
      },
      ['popularity', 'phase_off', 'champion', ['p1', 'p2']],
    ],
    [
      'is what is declared if the candidates cannot be read',
      { isOff: () => true, load: away('model_unavailable'), fallback: ['z'], memory: [] },
      ['fallback', 'phase_off', 'champion', ['z']],
    ],
    [
      'is no ranking of the version before either',
      { isOff: () => true, memory: PREVIOUS_IN_MEMORY, load: away('model_unavailable') },
      ['popularity', 'phase_off', 'previous', ['p1', 'p2']],
    ],
    [
      'says so after its deadline, too',
      { isOff: () => true, ...late, load: () => HANGS, fallback: ['z'] },
      ['fallback', 'phase_off', 'champion', ['z']],
    ],
  ])('%s', async (_, world, expected) => {
    expect(await ranked(world)).toEqual(expected);
  });

  it('holds for a switch that the isolate hears of with the champion', async () => {
    let isOff = false;
    const champion: RankPorts['champion'] = async () => {
      isOff = true;
      return { manifest: CHAMPION, isCurrent: true, previous: PREVIOUS };
    };
    const answer = await ranked({ champion, isOff: () => isOff, memory: CHAMPION_IN_MEMORY });
    expect(answer.slice(0, 2)).toEqual(['popularity', 'phase_off']);
  });

  it('fails if nothing is left to answer', async () => {
    await expect(ranked({ isOff: () => true, load: away('model_unavailable') })).rejects.toMatchObject({
      code: 'phase_off',
    });
  });
});
