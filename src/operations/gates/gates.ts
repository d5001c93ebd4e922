import {
  baselinesRecorded,
  dataModelDocumented,
  featureStoreInUse,
  hitRatioHolds,
  inventoryComplete,
  uptimeHolds,
} from './built-rules.ts';
import type { KnownEvidence, Source } from './evidence.ts';
import {
  historyHolds,
  pipelineComplete,
  qualityHolds,
  schemasStable,
  streamingKeepsUp,
} from './pipeline-rules.ts';
import { type Found, GATE_NAMES, type GateName, type GateVerdict, type GuardedPhase } from './verdict.ts';

interface GateDefinition {
  readonly phase: GuardedPhase;
  readonly statement: string;
  /** What the rule reads, so that a verdict about one phase asks no other source. */
  readonly sources: readonly Source[];
  readonly rule: (evidence: KnownEvidence) => Found;
}

const PIPELINE_SOURCES = ['checks', 'waiting', 'quality', 'stored'] as const;

/** Each gate with the phase whose turning on it guards. docs/phases.md says why. */
export const GATES: Readonly<Record<GateName, GateDefinition>> = {
  pipeline_85: {
    phase: 'cache',
    statement: 'the pipeline is 85 % complete, by its checklist',
    sources: PIPELINE_SOURCES,
    rule: (evidence) => pipelineComplete('pipeline_85', evidence),
  },
  data_model: {
    phase: 'cache',
    statement: 'the data model is documented',
    sources: ['checks'],
    rule: dataModelDocumented,
  },
  event_schemas: {
    phase: 'cache',
    statement: 'the schemas of events are stable',
    sources: ['newest'],
    rule: schemasStable,
  },
  api_inventory: {
    phase: 'cache',
    statement: 'the inventory of the API is complete',
    sources: [],
    rule: ({ inventory }) => inventoryComplete(inventory),
  },
  baselines: {
    phase: 'cache',
    statement: 'baselines are recorded',
    sources: ['objectives'],
    rule: baselinesRecorded,
  },
  pipeline_100: {
    phase: 'inference',
    statement: 'the pipeline is complete, by its checklist',
    sources: PIPELINE_SOURCES,
    rule: (evidence) => pipelineComplete('pipeline_100', evidence),
  },
  hit_ratio: {
    phase: 'inference',
    statement: 'more than 70 % of the answers come from the cache',
    sources: ['counters'],
    rule: hitRatioHolds,
  },
  cache_uptime: {
    phase: 'inference',
    statement: 'the cache can be used for 99.9 % of the answers',
    sources: ['objectives'],
    rule: uptimeHolds,
  },
  feature_store: {
    phase: 'inference',
    statement: 'the patterns of a feature store are in use',
    sources: ['features', 'counters'],
    rule: featureStoreInUse,
  },
  quality: {
    phase: 'inference',
    statement: 'the quality of the data is at least 95 %',
    sources: ['quality'],
    rule: qualityHolds,
  },
  streaming: {
    phase: 'inference',
    statement: 'streaming keeps up with the updates of features',
    sources: ['waiting', 'kafkaLag'],
    rule: streamingKeepsUp,
  },
  history: {
    phase: 'inference',
    statement: 'there are at least six months of history',
    sources: ['history'],
    rule: historyHolds,
  },
};

/** The gates of one phase, or of all. */
export function gateNamesOf(phase: GuardedPhase | undefined): GateName[] {
  return GATE_NAMES.filter((gate) => phase === undefined || GATES[gate].phase === phase);
}

/** What the rules of these gates read. */
export function sourcesOf(gates: readonly GateName[]): ReadonlySet<Source> {
  return new Set(gates.flatMap((gate) => GATES[gate].sources));
}

/** Judges gates. Evidence that is not known opens none. */
export function judgeGates(gates: readonly GateName[], evidence: KnownEvidence): GateVerdict[] {
  return gates.map((gate) => {
    const { phase, statement, rule } = GATES[gate];
    return { gate, phase, statement, ...rule(evidence) };
  });
}

/** The gates that are not open, in a sentence; undefined if all are. */
export function closedIn(verdicts: readonly GateVerdict[]): string | undefined {
  const closed = verdicts.filter(({ holds }) => holds !== true);
  if (closed.length === 0) return undefined;
  const texts = closed.map(
    ({ gate, holds, reason }) => `${gate} (${holds === null ? 'not known; ' : ''}${reason})`,
  );
  return `These gates do not hold: ${texts.join('; ')}.`;
}
