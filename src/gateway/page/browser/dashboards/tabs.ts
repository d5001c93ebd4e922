/** What each dashboard has, in its order. */
import {
  ALERTS,
  CHANGES,
  DEAD_LETTERS,
  INCIDENTS,
  type List,
  MAINTENANCE,
  MODEL_LIST,
  QUARANTINE,
  QUEUES,
  TRAINING,
} from './lists.ts';
import {
  type Answers,
  ERRORS,
  HIT_RATIO,
  LATENCY,
  MODELS,
  type Panel,
  PEERS,
  SOURCE_OF_ANSWERS,
  TRAFFIC,
} from './panels.ts';
import {
  alertsTile,
  availabilityTile,
  consistencyTile,
  featuresTile,
  hitRatioTile,
  isolatesTile,
  latencyTile,
  limitedTile,
  objectiveTiles,
  pipelineTiles,
  qualityTile,
  type Reports,
  readyTile,
  savedTile,
  type Tile,
  trafficTile,
  trainingTile,
} from './tiles.ts';

export const TAB_NAMES = ['executive', 'technical', 'operational'] as const;
export type TabName = (typeof TAB_NAMES)[number];

export interface Tab {
  readonly title: string;
  /** What its reader can decide by it. */
  readonly intro: string;
  readonly tiles: (answers: Answers, reports: Reports, nowMs: number) => Tile[];
  readonly panels: readonly Panel[];
  /** Whether the tables of routes and services belong to it. */
  readonly hasTables: boolean;
  readonly lists: readonly List[];
}

/** The addresses of the reports. `/health/ready` answers 503 with its report. */
export const REPORTS = {
  alerts: '/v1/admin/alerts',
  quality: '/v1/quality',
  cache: '/v1/admin/cache/stats',
  pipeline: '/v1/admin/pipeline',
  ready: '/health/ready',
  features: '/v1/admin/features',
  training: '/v1/training?limit=10',
} as const satisfies Record<keyof Reports, string>;

export const TABS: Readonly<Record<TabName, Tab>> = {
  executive: {
    title: 'Executive',
    intro: 'Whether users get what was promised, what the cache is worth, and what is at risk.',
    tiles: (answers, reports) => [
      availabilityTile(answers),
      latencyTile(answers),
      hitRatioTile(answers),
      qualityTile(reports),
      savedTile(answers),
      alertsTile(reports),
      ...objectiveTiles(reports),
    ],
    panels: [TRAFFIC, HIT_RATIO, ERRORS],
    hasTables: false,
    lists: [MODEL_LIST, INCIDENTS, CHANGES],
  },
  technical: {
    title: 'Technical',
    intro:
      'How each phase works now: requests, cache, services, models. A route of the table narrows the panels to it.',
    tiles: (answers, reports, nowMs) => [
      trafficTile(answers, nowMs),
      latencyTile(answers),
      hitRatioTile(answers),
      consistencyTile(reports),
      readyTile(reports),
      featuresTile(reports),
      isolatesTile(reports),
      limitedTile(answers),
    ],
    panels: [TRAFFIC, LATENCY, ERRORS, SOURCE_OF_ANSWERS, HIT_RATIO, PEERS, MODELS],
    hasTables: true,
    lists: [],
  },
  operational: {
    title: 'Operational',
    intro: 'What asks for somebody now, and what may be done about it with this key.',
    tiles: (answers, reports) => [
      alertsTile(reports),
      readyTile(reports),
      availabilityTile(answers),
      ...pipelineTiles(reports),
      trainingTile(reports),
    ],
    panels: [],
    hasTables: false,
    lists: [ALERTS, INCIDENTS, MAINTENANCE, QUARANTINE, DEAD_LETTERS, QUEUES, TRAINING, CHANGES],
  },
};
