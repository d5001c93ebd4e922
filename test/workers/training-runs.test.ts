import { describe, expect, it } from 'vitest';
import { dataset } from '../../src/define/dataset.ts';
import { type ModelDefinition, model } from '../../src/define/model.ts';
import { fromFeature } from '../../src/define/model-input.ts';
import { verdictOf } from '../../src/training/runs/evaluation.ts';
import type { RunFigures } from '../../src/training/runs/ports.ts';
import { newRun } from '../../src/training/runs/run.ts';
import { TrainingRunner } from '../../src/training/runs/runner.ts';
import { customer } from '../support/catalog/entities.ts';
import { PAID } from '../support/datasets/models.ts';
import { type Visit, visit } from '../support/point-in-time/history.ts';
import { historyInMemory } from '../support/point-in-time/in-memory.ts';
import { artifactsOf, finishedRun, RunServices } from '../support/training/run-services.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 23, 12);
const RUN = '00000000-0000-4000-8000-000000000001';
const never: Iterator<boolean> = { next: () => ({ done: false, value: false }) };

/** Guests 0 to 4 come once in 1 to 5 hours, and who comes often pays little. */
const events = Array.from({ length: 5 }, (_, guest) =>
  Array.from({ length: Math.floor(480 / (guest + 1)) }, (_visit, index) => ({
    ...{ type: 'visit.v1', guest, occurredAt: NOW - 20 * DAY_MS + index * (guest + 1) * HOUR_MS + guest },
  })),
)
  .flat()
  .sort((a, b) => a.occurredAt - b.occurredAt)
  .map(({ type, guest, occurredAt }, index) => ({
    ...{ seq: index + 1, type, occurredAt, recordedAt: occurredAt },
    data: { guests: [String(guest)], paid: 10 * guest + ((index * 7) % 5), room: String(index % 3) },
  }));
const history = historyInMemory(events, never, 2_000);
const { inputs } = PAID as { readonly inputs: Parameters<typeof model.regression>[0]['inputs'] };

function paid(changes: Partial<Parameters<typeof model.regression>[0]> = {}): ModelDefinition {
  return model.regression({
    ...{
      name: 'paid',
      description: 'What a visit costs.',
      entity: customer,
      inputs,
      outputs: { value: 'y' },
    },
    dataset: dataset.ofEvents({
      ...{ entity: customer, event: visit, key: ({ guests }: Visit) => guests },
      ...{
        split: { validationDays: 3, testDays: 4 },
        warmUpDays: 2,
        value: ({ paid: cents }: Visit) => cents,
      },
    }),
    training: { kind: 'trees', trees: 12, leaves: 7, leafRows: 10 },
    retraining: { historyDays: 14 },
    ...changes,
  });
}

const BEGUN = newRun({
  ...{ id: RUN, model: 'paid', reason: 'hand', by: 'test', begunMs: NOW, asOf: NOW, lastSeq: 0, seed: 1 },
});

function servicesOf(definition: ModelDefinition, figures: Partial<RunFigures> = {}): RunServices {
  // Several parts, so that rows come from several files.
  return new RunServices(definition, { history, now: NOW, figures, limits: { partTouchesMax: 600 } });
}

const finished = (services: RunServices, lostAt: readonly string[] = []) =>
  finishedRun(BEGUN, services, lostAt);

describe('a training run', () => {
  it('trains, judges, registers and challenges, with the same bytes if memory is lost on the way', async () => {
    const services = servicesOf(paid());
    const run = await finished(services);
    expect([run.failure, run.state, run.isChallenger]).toEqual([null, 'done', true]);
    const [bundle] = services.registered;
    expect(bundle?.manifest.version).toBe(run.version);
    expect(services.challenger).toBe(run.version);
    expect(run.evaluation).toMatchObject({ verdict: 'better', champion: null, entities: 5 });
    expect(run.evaluation && verdictOf(run.evaluation)).toBe('better');
    // The model is kept and registered.
    const { file, get, put } = services.calls;
    expect(run.cost).toMatchObject({ r2Reads: file + get, r2Writes: put + 1 });
    expect(put).toBe(1);
    expect(run.cost.rows).toBeGreaterThan(500);
    expect(bundle?.card).toContain('Verdict: better');
    expect(services.kept.size).toBe(0);

    const interrupted = servicesOf(paid());
    const again = await finished(interrupted, [
      'training 1',
      'training 7',
      'training 10',
      'evaluation 1',
      'registration 0',
    ]);
    expect(again.cost.r2Writes).toBeGreaterThan(2);
    expect(interrupted.registered[0]?.model).toEqual(bundle?.model);
    expect(interrupted.registered[0]?.golden).toEqual(bundle?.golden);
  });

  it('trains a network, which is not better than a champion that is the same', async () => {
    const definition = paid({ training: { kind: 'network', hidden: [4], epochs: 3, batch: 32 } });
    const first = servicesOf(definition);
    await finished(first);
    const [bundle] = first.registered;
    if (bundle?.model === undefined) throw new Error('It registers one.');
    const second = servicesOf(definition);
    second.champion = { manifest: bundle.manifest, artifacts: artifactsOf(bundle) };
    const run = await finished(second, ['training 2']);
    expect([run.state, run.isChallenger, second.challenger]).toEqual(['done', false, undefined]);
    expect(run.evaluation).toMatchObject({
      verdict: 'not_better',
      gains: { champion: { value: 0, low: 0, high: 0 } },
      champion: { version: bundle.manifest.version, why: null },
    });
    expect(second.registered[0]?.model).toEqual(bundle.model);
  });

  it('is refused with the figures of the gates that do not hold', async () => {
    const services = servicesOf(paid({ retraining: {} }), { quality: null, deadLetters: 2 });
    const run = await finished(services);
    expect([run.state, run.failure?.code]).toEqual(['refused', 'gates_closed']);
    expect(run.failure?.detail).toMatch(
      /pipeline \(deadLetters 2.*quality \(.*score unknown.*history \(days 20/,
    );
    expect(run.gates.map(({ gate, holds }) => [gate, holds])).toEqual([
      ['pipeline', false],
      ['quality', false],
      ['history', false],
      ['streaming', true],
    ]);
    expect(services.ended).toMatchObject([{ state: 'refused', failure: run.failure, gates: run.gates }]);
  });

  it.each([
    [
      'not_trainable',
      paid({ inputs: { ...inputs, other: { columns: { a: fromFeature(referenceIn(), { default: 0 }) } } } }),
    ],
    ['not_trainable', paid({ training: undefined as never })],
    ['too_few_rows', paid({ training: { kind: 'trees', leafRows: 5_000 } })],
  ])('is refused with the code %s', async (code, definition) => {
    const run = await finished(servicesOf(definition));
    expect([run.state, run.failure?.code]).toEqual(['refused', code]);
  });

  it('lets an error of a peer through, so that the step is repeated', async () => {
    const services = servicesOf(paid());
    const ports = { ...services.ports, measure: () => Promise.reject(new Error('It hangs.')) };
    await expect(new TrainingRunner(ports).step(BEGUN)).rejects.toThrow('It hangs.');
  });
});

function referenceIn() {
  const [column] = Object.values(Object.values(inputs)[0]?.columns ?? {});
  if (column?.from !== 'feature') throw new Error('All columns are features.');
  return column.reference;
}
