/** A configuration of the model: values of its constants, and the invariants that TLC checks. */
export interface Configuration {
  readonly constants: Readonly<Record<string, string>>;
  readonly invariants: readonly string[];
}

/** What clients are promised (docs/coherence.md). */
const PROMISES = [
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
const SMALL: Readonly<Record<string, string>> = {
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

const TWO_ISOLATES = { Isolates: '{i1, i2}' };
const SESSIONS = { Levels: '{"session"}' };
/** The region syncs before the first invalidation, for a bounded read: a mirror without an epoch ignores pushes. */
const EARLY_REGION = { Readers: '{r1}', Levels: '{"session", "bounded"}' };
/** Bounded reads, and a source with a bound that its readers may be owed something by. */
const SOURCE = { Readers: '{r1}', Levels: '{"bounded"}', SourceBound: '0', Happens: '{"tick"}' };

export interface ModelFault {
  /** The name in `Coherence.tla`. */
  readonly fault: string;
  readonly breaks: PromiseName;
  /** Steps to the violation: the length of the shortest counterexample. */
  readonly depth: number;
  /** The deliberate fault of test/simulation/faults.ts that it stands for; undefined if the simulation has none. */
  readonly simulated?: string;
  readonly constants: Readonly<Record<string, string>>;
}

export const MODEL_FAULTS: readonly ModelFault[] = [
  {
    fault: 'stamp after the read',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'the stamp is taken after the read',
    constants: {},
  },
  {
    fault: 'stamp at the write',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'the stamp is taken when the entry is written',
    constants: {},
  },
  {
    fault: 'version overwritten',
    breaks: 'ReadYourWrites',
    depth: 0,
    simulated: 'a version is overwritten instead of raised',
    constants: {
      ...EARLY_REGION,
      MaxCommits: '2',
      MaxSeq: '2',
      MaxPushes: '1',
      Happens: '{"isolate restarts"}',
    },
  },
  {
    fault: 'late change dropped',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'a late change is dropped because a later one was seen',
    constants: {},
  },
  {
    fault: 'invalidation before the commit',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'the invalidation goes before the commit',
    constants: {},
  },
  {
    fault: 'joins an earlier sync',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'a sync is joined that was already sent',
    constants: {},
  },
  {
    fault: 'age counted from the answer',
    breaks: 'BoundedReads',
    depth: 0,
    simulated: 'age is counted from the answer and not from the sending',
    constants: { Levels: '{"bounded"}', Happens: '{"tick"}' },
  },
  {
    fault: 'age of the parent left out',
    breaks: 'BoundedReads',
    depth: 0,
    simulated: "the parent's own age is left out",
    constants: { Levels: '{"bounded"}', Happens: '{"tick"}' },
  },
  {
    fault: 'fails open',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'the cache fails open while the clock is away',
    constants: { Happens: '{"lost"}' },
  },
  {
    fault: 'epoch ignored',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'the epoch is ignored',
    constants: { MaxEpoch: '2', Happens: '{"root loses storage", "unrelated"}' },
  },
  {
    fault: 'watermark ignored',
    breaks: 'SourceBoundedReads',
    depth: 0,
    simulated: 'the watermark is ignored',
    constants: SOURCE,
  },
  {
    fault: 'only one tag of a batch',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'the second invalidation of one request is dropped',
    constants: { Tags: '{"t", "u"}', TagSets: '{{"t", "u"}}' },
  },
  {
    fault: 'negative entry without its tag',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'a negative entry lacks the tag of what would make it appear',
    constants: {},
  },
  {
    fault: 'waiters get an older entry',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'waiters of a filler are served an older value',
    constants: {},
  },
  {
    fault: 'acknowledged before disk',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'an invalidation is acknowledged before it is on disk',
    constants: { Happens: '{"root restarts"}' },
  },
  {
    fault: 'push with a gap',
    breaks: 'ReadYourWrites',
    depth: 0,
    simulated: 'a push that leaves a gap is taken in',
    constants: { ...EARLY_REGION, MaxSeq: '2', MaxPushes: '1', Happens: '{"unrelated"}' },
  },
  {
    fault: 'strong within the bound',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'a strong read is content with a mirror within the bound',
    constants: {},
  },
  {
    fault: 'token ignored',
    breaks: 'ReadYourWrites',
    depth: 0,
    simulated: 'the token of a session is ignored',
    constants: { ...SESSIONS, MaxSeq: '2', Happens: '{"unrelated"}' },
  },
  {
    fault: 'outbox not asked',
    breaks: 'MonotonicReads',
    depth: 0,
    simulated: 'a fill does not ask the outbox what it may have seen too early',
    constants: { ...SESSIONS, MaxSeq: '2', Happens: '{"unrelated"}' },
  },
  {
    fault: 'delta omits the oldest change',
    breaks: 'StrongReads',
    depth: 0,
    simulated: 'a delta leaves out the oldest change',
    constants: {},
  },
  {
    fault: 'acknowledged before the invalidation',
    breaks: 'StrongReads',
    depth: 0,
    constants: {},
  },
  {
    fault: 'joins a sync without its token',
    breaks: 'ValidTokensAccepted',
    depth: 0,
    constants: { ...SESSIONS, MaxSeq: '2', Happens: '{"unrelated", "background"}' },
  },
  {
    fault: 'returns to an epoch that it left',
    breaks: 'StrongReads',
    depth: 0,
    constants: {
      Levels: '{"strong", "bounded"}',
      MaxEpoch: '2',
      Happens: '{"root loses storage", "direct", "background"}',
    },
  },
  {
    fault: 'marks of a newer epoch overlooked',
    breaks: 'MonotonicReads',
    depth: 0,
    constants: {
      Levels: '{"session", "bounded"}',
      MaxEpoch: '2',
      Happens: '{"mark", "unrelated", "root loses storage"}',
    },
  },
  {
    fault: "suspect reader takes another's fill",
    breaks: 'SourceBoundedReads',
    depth: 0,
    constants: SOURCE,
  },
];

/** The configuration that shows a fault: it checks the promises alone, because clients see nothing else. */
export function configurationOf({ fault, constants }: ModelFault): Configuration {
  return { constants: { ...SMALL, ...constants, Faults: `{"${fault}"}` }, invariants: PROMISES };
}

/** Configurations without a fault, by what they are about: those that CI checks. */
export const CLEAN: Readonly<Record<string, Configuration>> = {
  syncs: clean({ MaxSeq: '2', Happens: '{"mark", "unrelated", "background", "root restarts"}' }),
  sessions: clean({ Levels: '{"session", "bounded"}', MaxSeq: '2', Happens: '{"mark", "unrelated"}' }),
  pushes: clean({
    ...EARLY_REGION,
    MaxCommits: '2',
    MaxSeq: '2',
    MaxPushes: '1',
    Happens: '{"isolate restarts", "region restarts"}',
  }),
  time: clean({ Levels: '{"bounded"}', Readers: '{r1}', MaxSeq: '2', Happens: '{"tick", "background"}' }),
  sources: clean({ ...SOURCE, Passes: '{p1}', Happens: '{"tick", "relay", "root restarts"}' }),
  epochs: clean({
    Readers: '{r1}',
    Levels: '{"strong", "session", "bounded"}',
    MaxEpoch: '2',
    Happens: '{"mark", "root loses storage", "direct", "background"}',
  }),
};

/** Larger ones, for `--large`: two readers where CI has one, two isolates, and more trouble. */
export const LARGE: Readonly<Record<string, Configuration>> = {
  'epochs of two readers': clean({
    Levels: '{"strong", "bounded"}',
    MaxEpoch: '2',
    Happens: '{"root loses storage", "direct", "background"}',
  }),
  'sessions on two isolates': clean({
    ...TWO_ISOLATES,
    Levels: '{"session", "bounded"}',
    MaxSeq: '2',
    Happens: '{"mark"}',
  }),
  'two commits': clean({ MaxCommits: '2', MaxSeq: '2', Happens: '{"mark", "lost", "background"}' }),
  'time of two readers': clean({ Levels: '{"bounded"}', Happens: '{"tick"}' }),
};

/** The text of TLC's configuration file. */
export function textOf({ constants, invariants }: Configuration, specification = 'Spec'): string {
  const values = Object.entries(constants).map(
    ([name, value]) => `  ${name} ${value.startsWith('<-') ? '' : '= '}${value}`,
  );
  return [
    `SPECIFICATION ${specification}`,
    'CONSTANT',
    ...values,
    `INVARIANT ${invariants.join(' ')}`,
    // TLC refuses a symmetry of one value.
    ...(constants['Readers']?.includes(',') ? ['SYMMETRY Interchangeable'] : []),
    '',
  ].join('\n');
}

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
    // What the code does as well (README.md, "What the model found").
    Faults: `{"marks of a newer epoch overlooked", "suspect reader takes another's fill"}`,
  },
  invariants: ['NotAccepted', ...PROMISES],
};
