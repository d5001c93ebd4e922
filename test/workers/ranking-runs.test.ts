import { beforeAll, describe, expect, it } from 'vitest';
import { runCounts } from '../../bench/cost/retraining.ts';
import { RIDES_RETRAINED } from '../../bench/cost/scenarios.ts';
import { dataset } from '../../src/define/dataset.ts';
import type { FeatureReference } from '../../src/define/feature.ts';
import { reference } from '../../src/define/feature-definition.ts';
import type { ItemCount } from '../../src/define/feature-value.ts';
import { type ModelDefinition, model } from '../../src/define/model.ts';
import type { Bundle } from '../../src/inference/bundle.ts';
import { verdictOf } from '../../src/training/runs/evaluation.ts';
import { newRun, type TrainingRun } from '../../src/training/runs/run.ts';
import { customer, product } from '../support/catalog/entities.ts';
import { FEATURES, type Visit, visit } from '../support/point-in-time/history.ts';
import { historyInMemory } from '../support/point-in-time/in-memory.ts';
import { artifactsOf, finishedRun, RunServices } from '../support/training/run-services.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 23, 12);
const [GUESTS, DAYS, ROOMS] = [24, 18, 12];

/** Each guest comes twice a day, and takes another room every five days: what counts is where they were last. */
const events = Array.from({ length: GUESTS * DAYS * 2 }, (_, index) => {
  const [guest, half] = [index % GUESTS, Math.floor(index / GUESTS)];
  const stay = Math.floor((half / 2 + guest) / 5);
  return {
    ...{ type: 'visit.v1', occurredAt: NOW - DAYS * DAY_MS + (half * DAY_MS) / 2 + guest },
    data: { guests: [String(guest)], paid: 1, room: `r${(guest * 7 + stay * 5) % ROOMS}` },
  };
})
  .sort((a, b) => a.occurredAt - b.occurredAt)
  .map((event, index) => ({ ...event, seq: index + 1, recordedAt: event.occurredAt }));
const history = historyInMemory(events, { next: () => ({ done: false, value: false }) }, 2_000);

const items = FEATURES.find(({ name, entity }) => name === 'items' && entity === customer);
if (items === undefined) throw new Error('There is no feature of items.');
const rooms = reference(customer, items, 'items', false, (stored) => (stored ?? []) as readonly ItemCount[]);

function ranking(changes: Partial<Parameters<typeof model.ranking>[0]> = {}): ModelDefinition {
  return model.ranking({
    ...{
      name: 'rooms',
      description: 'Which room a guest takes next.',
      entity: customer,
      itemEntity: product,
    },
    path: '/v1/customers/{id}/rooms',
    columns: ['own_days', 'own_count', 'share'],
    features: { rooms: rooms as FeatureReference<typeof customer, readonly ItemCount[]> },
    dataset: dataset.ofItems({
      ...{
        entity: customer,
        event: visit,
        key: ({ guests }: Visit) => guests,
        item: ({ room }: Visit) => room,
      },
      ...{ split: { validationDays: 2, testDays: 4 }, warmUpDays: 4, horizonDays: 1, negatives: 4 },
    }),
    training: { kind: 'trees', trees: 20, leaves: 7, leafRows: 5 },
    retraining: { historyDays: 14 },
    makeCandidates: (known) => {
      const counts = new Map<string, number>();
      for (const { events: own } of known)
        for (const { item } of own) counts.set(item, (counts.get(item) ?? 0) + 1);
      return [...counts].sort(([a, more], [b, less]) => less - more || (a < b ? -1 : 1));
    },
    parseCandidates: (json) => {
      const counts = new Map(json as [string, number][]);
      return {
        has: (item) => counts.has(item),
        popular: (limit) => [...counts].slice(0, limit).map(([item, score]) => ({ item, score })),
        isNew: (features) => (features['rooms'] as readonly ItemCount[]).length === 0,
        assemble: (features, asked, now) => {
          const own = features['rooms'] as readonly ItemCount[];
          const ranked = asked ?? [...counts.keys()];
          const rows = ranked.flatMap((item) => {
            const found = own.find((one) => one.item === item);
            const days = found === undefined ? 99 : (now - found.lastAt) / DAY_MS;
            return [days, found?.count ?? 0, counts.get(item) ?? 0];
          });
          return { items: ranked, rows: Float32Array.from(rows) };
        },
      };
    },
    ...changes,
  } as Parameters<typeof model.ranking>[0]);
}

const BEGUN = newRun({
  ...{ id: '00000000-0000-4000-8000-000000000002', model: 'rooms', reason: 'hand', by: 'test' },
  ...{ begunMs: NOW, asOf: NOW, lastSeq: 0, seed: 1 },
});

// Several parts, so that rows come from several files.
const servicesOf = (definition: ModelDefinition) =>
  new RunServices(definition, { history, now: NOW, limits: { partTouchesMax: 400 } });

let first: Promise<{ readonly services: RunServices; readonly run: TrainingRun; readonly bundle: Bundle }>;
beforeAll(() => {
  const services = servicesOf(ranking());
  first = finishedRun(BEGUN, services).then((run) => {
    const [bundle] = services.registered;
    if (bundle === undefined) throw new Error(`It registers no version: ${run.failure?.detail}`);
    return { services, run, bundle };
  });
});

describe('a training run of a ranking', () => {
  it('makes rows and candidates of its declaration, and beats popularity and repetition', async () => {
    const { services, run, bundle } = await first;
    expect([run.failure, run.state, run.isChallenger]).toEqual([null, 'done', true]);
    const { evaluation } = run;
    expect(evaluation).toMatchObject({
      ...{ loss: 'ndcg_loss', verdict: 'better', champion: null, rows: 4 * GUESTS, entities: GUESTS },
      ranking: { withoutRows: 0, candidateRecall: 1 },
    });
    expect(evaluation && verdictOf(evaluation)).toBe('better');
    expect(evaluation?.model['hit_rate_at_10']?.value).toBeGreaterThan(0.9);
    expect(evaluation?.gains.baseline?.low).toBeGreaterThan(0);
    expect(bundle.manifest).toMatchObject({
      version: run.version,
      candidates: { bytes: bundle.candidates?.length },
    });
    // Every guest has been there before.
    const { new: none, returning } = evaluation?.ranking?.segments ?? {};
    expect(none).toBeNull();
    expect(returning).toMatchObject({
      ...{ queries: 4 * GUESTS, answeredBy: 'model', model: evaluation?.model },
    });
    expect(bundle.manifest.segments).toEqual({ new: 'popularity', returning: 'model' });
    expect(returning?.gain?.low).toBeGreaterThan(0);
    expect(bundle.card).toContain('what each took most often, then popularity');
    expect(bundle.card).toContain(`| returning, the model (${4 * GUESTS} queries) |`);
    // As of the run, and not as of a moment of its test.
    const popular = JSON.parse(new TextDecoder().decode(bundle.candidates)) as [string, number][];
    expect(popular.reduce((sum, [, count]) => sum + count, 0)).toBe(events.length);
    expect(services.kept.size).toBe(0);
  });

  it('reports its operations of R2, and reads the pages of history that docs/cost.md derives', async () => {
    const { services, run } = await first;
    const derived = { ...RIDES_RETRAINED, events: events.length };
    const { history: pages, file, get, put } = services.calls;
    expect(pages).toBe(
      runCounts({ ...derived, isRanking: true }).sql - runCounts({ ...derived, isRanking: false }).sql,
    );
    // The model and its candidates are put beside what is kept, and the profile if there are rows enough for one.
    expect(run.cost).toMatchObject({ r2Reads: file + get, r2Writes: put + services.profiles.length + 2 });
  });

  it('shows rows of the candidates that it serves, so that the watch of drift compares rows of one table', async () => {
    const { bundle } = await first;
    const popular = JSON.parse(new TextDecoder().decode(bundle.candidates)) as [string, number][];
    const counts = new Set(popular.map(([, count]) => count));
    const shares = (bundle.golden.inputs['features'] as number[][]).map((row) => row[2] ?? -1);
    expect(shares.length).toBeGreaterThan(3);
    expect(shares.filter((share) => !counts.has(share))).toEqual([]);
  });

  it('makes the same bytes if memory is lost on the way', async () => {
    const interrupted = servicesOf(ranking());
    const lost = ['candidates 3', 'training 1', 'training 7', 'evaluation 1', 'registration 0'];
    const again = await finishedRun(BEGUN, interrupted, lost);
    const { bundle } = await first;
    expect(again.version).toBe(bundle.manifest.version);
    expect(interrupted.registered[0]?.model).toEqual(bundle.model);
    expect(interrupted.registered[0]?.golden).toEqual(bundle.golden);
  });

  it('is not better than a champion that is the same, though its candidates know the test', async () => {
    const { bundle } = await first;
    const second = servicesOf(ranking());
    second.champion = { manifest: bundle.manifest, artifacts: artifactsOf(bundle) };
    const run = await finishedRun(BEGUN, second);
    expect([run.state, run.isChallenger]).toEqual(['done', false]);
    expect(run.evaluation).toMatchObject({
      ...{ verdict: 'not_better', gains: { champion: { value: 0, low: 0, high: 0 } } },
      champion: { version: bundle.manifest.version, why: null },
    });
  });

  it.each([
    ['not_trainable', ranking({ makeCandidates: undefined as never })],
    ['invalid_columns', ranking({ columns: ['own_days', 'own_count'] })],
  ])('is refused with the code %s', async (code, definition) => {
    const run = await finishedRun(BEGUN, servicesOf(definition));
    expect([run.state, run.failure?.code]).toEqual(['refused', code]);
  });
});
