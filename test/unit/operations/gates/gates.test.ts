import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collectEvidence, SOURCE_MS } from '../../../../src/operations/gates/collect.ts';
import type { GateEvidence, KnownEvidence, Source } from '../../../../src/operations/gates/evidence.ts';
import {
  closedIn,
  GATES,
  gateNamesOf,
  judgeGates,
  sourcesOf,
} from '../../../../src/operations/gates/gates.ts';
import { GATE_NAMES, type GateName, type GateVerdict } from '../../../../src/operations/gates/verdict.ts';
import { CACHE_ANSWERS } from '../../../../src/operations/hit-ratio.ts';
import { FEATURE_VALUES } from '../../../../src/operations/observation.ts';
import { withTimeout } from '../../../../src/platform/clock.ts';
import type { CounterSample } from '../../../../src/platform/counters.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';

const { catalog } = FIXTURE;
/** The fixture, with what it leaves undocumented. */
const DOCUMENTED = {
  ...catalog,
  events: catalog.events.map((event) => ({ ...event, example: {}, description: 'An event.' })),
  views: catalog.views.map((view) => ({ ...view, description: 'A view.' })),
  models: catalog.models.map((model) => ({ ...model, description: 'A model.' })),
};
const INVENTORY = { operations: 3, undocumented: [], incomplete: [] };
const CHECKS = [
  ...[
    'database',
    'migrations',
    'tables',
    'capture',
    'clock',
    'relay',
    'cron',
    'queues',
    'outbox',
    'quarantine',
  ],
];
const DAY_MS = 86_400_000;

const ok = (name: string) => ({ name, verdict: 'ok', detail: 'as it should be' }) as const;
const answers = (outcome: string, value: number): CounterSample => ({
  ...{ name: CACHE_ANSWERS, value },
  labels: { view: 'v', outcome, tier: outcome === 'hit' ? 'memory' : '', reason: '' },
});
const read = { name: FEATURE_VALUES, labels: { entity: 'e', status: 'PRESENT' }, value: 7 };
const countersOf = (...hour: CounterSample[]): GateEvidence['counters'] => ({
  totals: [read, ...hour],
  windows: { 1: [], 5: [], 60: hour },
  isolates: { active: 1, memoryBytes: 0 },
});
const objective = (name: string, all: number, bad: number): GateEvidence['objectives'][number] => ({
  ...{ name, description: '', target: 0.99, badShares: {}, burnsInMinutes: null },
  budget: { all, bad, left: 1, hoursLeft: null },
});
const objectives = (all: number, bad = 0) => catalog.objectives.map(({ name }) => objective(name, all, bad));

/** All is well. */
const WELL: GateEvidence = {
  checks: CHECKS.map(ok),
  waiting: { deadLetters: 0, waitingChanges: 3 },
  kafkaLag: null,
  quality: {
    lowest: { window: '24h', events: 500, score: 0.99 },
    scored: catalog.events.slice(1).map(({ type }) => type),
  },
  stored: catalog.events.slice(0, 1).map(({ type }) => type),
  history: { from: 0, to: 200 * DAY_MS, knownFrom: 0 },
  newest: [],
  counters: countersOf(answers('hit', 90), answers('miss', 10)),
  objectives: objectives(1_000),
  features: [],
};

const purchase = {
  type: 'shop.purchase.v1',
  data: {
    ...{ invoice: '1', sku: 'A', description: 'A', quantity: 1, unitPrice: 2 },
    ...{ customerId: 'C', country: 'UK' },
  },
};

function known(evidence: Partial<GateEvidence>, hidden: readonly Source[] = []): KnownEvidence {
  const all = { ...WELL, newest: [purchase], ...evidence };
  const parts = Object.fromEntries(
    Object.entries(all).map(([name, value]) => [
      name,
      hidden.some((one) => one === name) ? { unknown: 'It hangs.' } : { value },
    ]),
  );
  return { ...(parts as unknown as KnownEvidence), catalog: DOCUMENTED, inventory: INVENTORY };
}

const verdictOf = (gate: GateName, evidence: KnownEvidence): GateVerdict => {
  const [verdict] = judgeGates([gate], evidence);
  if (verdict === undefined) throw new Error('No verdict.');
  return verdict;
};

describe('the gates', () => {
  it('all hold where all is well, and say what they follow from', () => {
    const verdicts = judgeGates(GATE_NAMES, known({}));
    expect(closedIn(verdicts)).toBeUndefined();
    for (const { holds, reason, evidence } of verdicts) {
      expect([holds, reason]).toEqual([true, null]);
      expect(evidence.length).toBeGreaterThan(0);
    }
  });

  it.each<readonly [GateName, Partial<GateEvidence>, boolean | null]>([
    ['pipeline_100', { waiting: { deadLetters: 1, waitingChanges: 0 } }, false],
    ['pipeline_85', { waiting: { deadLetters: 1, waitingChanges: 0 } }, true],
    ['pipeline_100', { stored: [] }, false],
    ['pipeline_85', { checks: CHECKS.slice(2).map(ok) }, null],
    ['pipeline_85', { checks: CHECKS.map((name) => ({ ...ok(name), verdict: 'warn' })) }, false],
    ['pipeline_100', { checks: [...WELL.checks, { ...ok('Kafka'), verdict: 'fail' }] }, false],
    ['data_model', { checks: [{ ...ok('tables'), verdict: 'fail' }] }, false],
    ['event_schemas', { newest: [] }, null],
    ['event_schemas', { newest: [purchase, { ...purchase, data: { sku: 1 } }] }, false],
    ['event_schemas', { newest: [{ type: 'shop.gone.v1', data: {} }] }, false],
    ['baselines', { objectives: objectives(29) }, false],
    ['baselines', { objectives: objectives(30) }, true],
    ['baselines', { objectives: [] }, false],
    ['hit_ratio', { counters: countersOf(answers('hit', 70), answers('miss', 30)) }, false],
    ['hit_ratio', { counters: countersOf(answers('hit', 71), answers('miss', 29)) }, true],
    ['hit_ratio', { counters: countersOf(answers('hit', 98), answers('miss', 1)) }, null],
    ['cache_uptime', { objectives: objectives(10_000, 10) }, true],
    ['cache_uptime', { objectives: objectives(10_000, 11) }, false],
    ['cache_uptime', { objectives: objectives(99) }, null],
    ['feature_store', { counters: { ...countersOf(), totals: [] } }, false],
    [
      'feature_store',
      {
        features: [
          {
            ...{ entity: 'e', feature: 'f', digest: 'd', state: 'filling', since: null },
            ...{ suffix: '@d', readable: false, readableUntil: null },
          },
        ],
      },
      false,
    ],
    ['quality', { quality: { scored: [], lowest: { window: '24h', events: 500, score: 0.9499 } } }, false],
    ['quality', { quality: { scored: [], lowest: null } }, null],
    ['streaming', { waiting: { deadLetters: 0, waitingChanges: 1_001 } }, false],
    ['streaming', { kafkaLag: 1_001 }, false],
    ['streaming', { kafkaLag: 'unknown' }, null],
    ['history', { history: { from: 0, to: 182 * DAY_MS, knownFrom: 0 } }, false],
    ['history', { history: null }, false],
  ])('%s of %j: %s', (gate, evidence, holds) => {
    const verdict = verdictOf(gate, known(evidence));
    expect(verdict.holds).toBe(holds);
    if (holds === true) expect(verdict.reason).toBeNull();
    else expect(verdict.reason).toMatch(/\w/);
  });

  it('without descriptions, examples, routes or objectives the gates about them do not hold', () => {
    const evidence = known({});
    const bare = { ...DOCUMENTED, events: catalog.events.map((event) => ({ ...event, example: undefined })) };
    expect(verdictOf('data_model', { ...evidence, catalog: bare }).holds).toBe(false);
    const views = DOCUMENTED.views.map((view) => ({ ...view, description: ' ' }));
    expect(verdictOf('data_model', { ...evidence, catalog: { ...DOCUMENTED, views } }).holds).toBe(false);
    const inventory = { ...INVENTORY, undocumented: ['GET /v1/hidden'] };
    const { holds, reason } = verdictOf('api_inventory', { ...evidence, inventory });
    expect([holds, reason]).toEqual([false, expect.stringContaining('GET /v1/hidden')]);
    const unplanned = { ...evidence, catalog: { ...DOCUMENTED, objectives: [] } };
    expect(verdictOf('baselines', unplanned).holds).toBe(false);
    expect(verdictOf('cache_uptime', unplanned).holds).toBeNull();
  });

  it('what is not known opens no gate, and closes none that it does not concern', () => {
    const sources = Object.keys(WELL) as Source[];
    fc.assert(
      fc.property(fc.subarray(sources), (hidden) => {
        for (const { gate, holds, reason } of judgeGates(GATE_NAMES, known({}, hidden))) {
          const missing = GATES[gate].sources.filter((source) => hidden.includes(source));
          // Eleven of twelve items are 85 %, so one that is not known does not matter there.
          const items = new Set(missing.map((source) => (source === 'stored' ? 'quality' : source)));
          const isEnough = gate === 'pipeline_85' && items.size === 1 && !items.has('checks');
          expect([gate, holds]).toEqual([gate, missing.length === 0 || isEnough ? true : null]);
          if (holds === null) expect(reason).toContain('It hangs.');
        }
      }),
    );
  });

  it('a rule reads no source that its gate does not name', () => {
    for (const gate of GATE_NAMES) {
      const { sources } = GATES[gate];
      const others = (Object.keys(WELL) as Source[]).filter((name) => !sources.includes(name));
      expect([gate, verdictOf(gate, known({}, others)).holds]).toEqual([gate, true]);
    }
  });

  it('of a phase are its own, and none guards the pipeline', () => {
    expect(gateNamesOf('cache')).toHaveLength(5);
    expect([...gateNamesOf('cache'), ...gateNamesOf('inference')]).toEqual([...GATE_NAMES]);
    expect([...sourcesOf(gateNamesOf('cache'))].sort()).toEqual(
      ['checks', 'newest', 'objectives', 'quality', 'stored', 'waiting'].sort(),
    );
  });

  it('that are closed are named with the reason', () => {
    const text = closedIn(
      judgeGates(['history', 'quality', 'hit_ratio'], known({ history: null }, ['counters'])),
    );
    expect(text).toMatch(/^These gates do not hold: history \(.+\); hit_ratio \(not known; It hangs\.\)\.$/);
  });
});

describe('the evidence', () => {
  const hangs = () => new Promise<never>(() => undefined);
  const fails = async () => {
    throw new Error('with a secret');
  };
  const all = Object.fromEntries(
    Object.entries(WELL).map(([name, value]) => [name, async () => value]),
  ) as unknown as Parameters<typeof collectEvidence>[2]['sources'];
  const declared = { catalog: DOCUMENTED, inventory: INVENTORY };
  const wanted = new Set(Object.keys(WELL) as Source[]);
  const quick: typeof withTimeout = (promise, ms, onTimeout) => withTimeout(promise, ms / 100, onTimeout);

  it('of a source that hangs or fails is not known, with a reason that shows no secret', async () => {
    const failed: Source[] = [];
    const evidence = await collectEvidence(wanted, declared, {
      sources: { ...all, checks: hangs, waiting: hangs, history: fails },
      withTimeout: quick,
      failed: (source) => failed.push(source),
    });
    expect(failed.sort()).toEqual(['checks', 'history', 'waiting']);
    expect(evidence.checks).toEqual({ unknown: `No answer within ${SOURCE_MS} ms.` });
    expect(evidence.waiting).toEqual({ unknown: `No answer within ${SOURCE_MS} ms.` });
    expect(JSON.stringify(evidence.history)).not.toContain('secret');
    expect(evidence.quality).toEqual({ value: WELL.quality });
  });

  it('that nobody wants is not read', async () => {
    const evidence = await collectEvidence(new Set<Source>(['waiting']), declared, {
      sources: { ...all, checks: fails },
      withTimeout,
      failed: (source) => expect.unreachable(source),
    });
    expect(evidence.waiting).toEqual({ value: WELL.waiting });
    expect('unknown' in evidence.checks).toBe(true);
  });
});
