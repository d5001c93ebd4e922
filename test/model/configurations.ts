/** A configuration of the model: values of its constants, and the invariants and properties that TLC checks. */
export interface Configuration {
  readonly constants: Readonly<Record<string, string>>;
  readonly invariants?: readonly string[];
  readonly properties?: readonly string[];
}

/** What clients are promised (docs/coherence.md). */
export const PROMISES = [
  'StrongReads',
  'ReadYourWrites',
  'MonotonicReads',
  'BoundedReads',
  'SourceBoundedReads',
  'ValidTokensAccepted',
] as const;
export type PromiseName = (typeof PROMISES)[number];

/** Why the promises hold. A run without faults checks these as well. */
const REASONS = ['StoredIsCurrent', 'MirrorsAreComplete', 'AgesAreBounds', 'WatermarksAreTrue'] as const;

/** One key that depends on one tag, one isolate and its region, two readers, and no trouble. */
export const SMALL: Readonly<Record<string, string>> = {
  Tags: '{"t"}',
  Keys: '{"k"}',
  Deps: '<- OnlyTagT',
  TagSets: '{{"t"}}',
  Isolates: '{i1}',
  Regions: '{g}',
  RegionOf: '<- OneRegion',
  Readers: '{r1, r2}',
  Passes: '{}',
  Levels: '{"strong"}',
  Bound: '<- OneTick',
  // As large as `Far`: no source is ever suspect, and nothing is owed for its sake.
  SourceBound: '3',
  Slack: '0',
  Far: '3',
  Happens: '{}',
  MaxCommits: '1',
  MaxSeq: '1',
  MaxEpoch: '1',
  MaxFlight: '1',
  MaxPushes: '0',
  MaxEntries: '1',
  Faults: '{}',
};

const clean = (constants: Readonly<Record<string, string>>): Configuration => ({
  constants: { ...SMALL, ...constants },
  invariants: [...PROMISES, ...REASONS],
});

export const SESSIONS = { Levels: '{"session"}' };
/** The region syncs before the first invalidation, for a bounded read: a mirror without an epoch ignores pushes. */
export const EARLY_REGION = { Readers: '{r1}', Levels: '{"session", "bounded"}' };
/** Bounded reads, and a source with a bound that its readers may be owed something by. */
export const SOURCE = { Readers: '{r1}', Levels: '{"bounded"}', SourceBound: '0', Happens: '{"tick"}' };
/** The isolate has no region and follows the root. */
const NO_REGION = { Regions: '{}', RegionOf: '<- NoRegion' };

/** Configurations without a fault, by what they are about. `npm run model` and CI check them to their end. */
export const CLEAN: Readonly<Record<string, Configuration>> = {
  syncs: clean({ MaxSeq: '2', Happens: '{"mark", "unrelated", "background", "root restarts"}' }),
  sessions: clean({ ...SESSIONS, MaxSeq: '2', Happens: '{"mark"}' }),
  pushes: clean({ ...EARLY_REGION, MaxSeq: '2', MaxPushes: '1', Happens: '{"isolate restarts"}' }),
  time: clean({ Levels: '{"bounded"}', Readers: '{r1}', MaxSeq: '2', Happens: '{"tick", "background"}' }),
  sources: clean({
    ...SOURCE,
    ...NO_REGION,
    // Bound and source bound are one tick together, so two ticks are as far as any age has to be known.
    Far: '2',
    Passes: '{p1}',
    Happens: '{"tick", "relay", "root restarts", "direct"}',
  }),
  epochs: clean({
    Readers: '{r1}',
    Levels: '{"strong", "session", "bounded"}',
    MaxEpoch: '2',
    Happens: '{"mark", "root loses storage", "direct", "background"}',
  }),
};

/** Larger ones, for `--large`: more trouble, with a region where the small configuration has none. */
export const LARGE: Readonly<Record<string, Configuration>> = {
  // The one with more than ten million distinct states.
  'epochs and a second invalidation': clean({
    Readers: '{r1}',
    Levels: '{"strong", "session", "bounded"}',
    MaxSeq: '2',
    MaxEpoch: '2',
    Happens: '{"mark", "root loses storage", "direct", "background"}',
  }),
  'sessions beside bounded reads': clean({
    Levels: '{"session", "bounded"}',
    MaxSeq: '2',
    Happens: '{"mark"}',
  }),
  'sources through a region': clean({
    ...SOURCE,
    Far: '2',
    Passes: '{p1}',
    Happens: '{"tick", "relay", "root restarts"}',
  }),
  'pushes and restarts': clean({
    ...EARLY_REGION,
    MaxCommits: '2',
    MaxSeq: '2',
    MaxPushes: '1',
    Happens: '{"isolate restarts", "region restarts"}',
  }),
};

/** The text of TLC's configuration file. */
export function textOf(
  { constants, invariants = [], properties = [] }: Configuration,
  specification = 'Spec',
): string {
  const values = Object.entries(constants).map(
    ([name, value]) => `  ${name} ${value.startsWith('<-') ? '' : '= '}${value}`,
  );
  return [
    `SPECIFICATION ${specification}`,
    'CONSTANT',
    ...values,
    ...(invariants.length > 0 ? [`INVARIANT ${invariants.join(' ')}`] : []),
    ...(properties.length > 0 ? [`PROPERTY ${properties.join(' ')}`] : []),
    // TLC refuses a symmetry of one value, and cannot use one for properties.
    ...(properties.length === 0 && constants['Readers']?.includes(',') ? ['SYMMETRY Interchangeable'] : []),
    '',
  ].join('\n');
}

/** What happens in the end (`Live.tla`), by property: the specification with its fairness, and the configuration. */
export const LIVE: Readonly<Record<string, { specification: string; configuration: Configuration }>> = {
  ReadsEnd: {
    specification: 'DeadlineSpec',
    configuration: {
      constants: {
        ...SMALL,
        Readers: '{r1}',
        Levels: '{"strong", "session", "bounded"}',
        Happens: '{"lost", "background", "root restarts"}',
      },
      properties: ['ReadsEnd'],
    },
  },
  SyncsArrive: {
    specification: 'SyncSpec',
    configuration: {
      constants: { ...SMALL, ...SESSIONS, Happens: '{"background"}' },
      properties: ['SyncsArrive'],
    },
  },
  CommitsAreInvalidated: {
    specification: 'RelaySpec',
    configuration: {
      constants: {
        ...SMALL,
        Readers: '{}',
        Levels: '{}',
        Passes: '{p1}',
        Happens: '{"relay", "mark", "unrelated", "relay restarts", "root restarts"}',
        MaxCommits: '2',
        MaxSeq: '4',
      },
      properties: ['CommitsAreInvalidated'],
    },
  },
};

/** The configuration of a recorded run. Its constants come from the generated module `Trace`. */
export const RECORDED: Configuration = {
  constants: {
    Tags: '{"rows", "row:0", "row:1", "row:2"}',
    Keys: '{"list", "item/0", "item/1", "item/2"}',
    Deps: '<- TraceDeps',
    TagSets: '{}',
    Isolates: '{"isolate 0", "isolate 1", "isolate 2", "isolate 3"}',
    Regions: '{"weur", "apac"}',
    RegionOf: '<- TraceRegions',
    Readers: '<- TraceReaders',
    Passes: '<- TracePasses',
    Levels: '{}',
    Bound: '<- TraceBound',
    SourceBound: '10000',
    // Clocks that drift, and times rounded to milliseconds.
    Slack: '6',
    Far: '1000000',
    Happens: '{"lost"}',
    MaxCommits: '<- TraceCommits',
    MaxSeq: '<- TraceSeq',
    MaxEpoch: '<- TraceEpochs',
    MaxFlight: '1',
    MaxPushes: '1000',
    MaxEntries: '1000',
    Faults: '{}',
  },
  invariants: ['NotAccepted', ...PROMISES],
};
