import {
  type Configuration,
  EARLY_REGION,
  PROMISES,
  type PromiseName,
  SESSIONS,
  SMALL,
  SOURCE,
} from './configurations.ts';

export interface ModelFault {
  /** The name in `Coherence.tla`. */
  readonly fault: string;
  readonly breaks: PromiseName;
  /** States of the shortest counterexample, the first one included. */
  readonly depth: number;
  /** The deliberate fault of test/simulation/faults.ts that it stands for; undefined if the simulation has none. */
  readonly simulated?: string;
  readonly constants: Readonly<Record<string, string>>;
}

export const MODEL_FAULTS: readonly ModelFault[] = [
  {
    fault: 'stamp after the read',
    breaks: 'StrongReads',
    depth: 21,
    simulated: 'the stamp is taken after the read',
    constants: {},
  },
  {
    fault: 'stamp at the write',
    breaks: 'StrongReads',
    depth: 21,
    simulated: 'the stamp is taken when the entry is written',
    constants: {},
  },
  {
    fault: 'version overwritten',
    breaks: 'ReadYourWrites',
    depth: 29,
    simulated: 'a late delta lowers the version of a tag',
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
    depth: 21,
    simulated: 'a late change is dropped because a later one was seen',
    constants: {},
  },
  {
    fault: 'invalidation before the commit',
    breaks: 'StrongReads',
    depth: 21,
    simulated: 'the invalidation goes before the commit',
    constants: {},
  },
  {
    fault: 'joins an earlier sync',
    breaks: 'StrongReads',
    depth: 23,
    simulated: 'a sync is joined that was already sent',
    constants: {},
  },
  {
    fault: 'age counted from the answer',
    breaks: 'BoundedReads',
    depth: 24,
    simulated: 'age is counted from the answer and not from the sending',
    constants: {
      Readers: '{r1}',
      Levels: '{"bounded"}',
      Happens: '{"tick"}',
    },
  },
  {
    fault: 'age of the parent left out',
    breaks: 'BoundedReads',
    depth: 24,
    simulated: "the parent's own age is left out",
    constants: {
      Readers: '{r1}',
      Levels: '{"bounded"}',
      Happens: '{"tick"}',
    },
  },
  {
    fault: 'fails open',
    breaks: 'StrongReads',
    depth: 18,
    simulated: 'the cache fails open while the clock is away',
    constants: { Happens: '{"lost"}' },
  },
  {
    fault: 'epoch ignored',
    breaks: 'StrongReads',
    depth: 22,
    simulated: 'the epoch is ignored',
    constants: { MaxEpoch: '2', Happens: '{"root loses storage", "unrelated"}' },
  },
  {
    fault: 'watermark ignored',
    breaks: 'SourceBoundedReads',
    depth: 22,
    simulated: 'the watermark is ignored',
    constants: SOURCE,
  },
  {
    fault: 'only one tag of a batch',
    breaks: 'StrongReads',
    depth: 21,
    simulated: 'the second invalidation of one request is dropped',
    constants: { Tags: '{"t", "u"}', TagSets: '{{"t", "u"}}' },
  },
  {
    fault: 'negative entry without its tag',
    breaks: 'StrongReads',
    depth: 21,
    simulated: 'a negative entry lacks the tag of what would make it appear',
    constants: {},
  },
  {
    fault: 'waiters get an older entry',
    breaks: 'StrongReads',
    depth: 22,
    simulated: 'waiters of a filler are served an older value',
    constants: {},
  },
  {
    fault: 'acknowledged before disk',
    breaks: 'StrongReads',
    depth: 22,
    simulated: 'an invalidation is acknowledged before it is on disk',
    constants: { Happens: '{"root restarts"}' },
  },
  {
    fault: 'push with a gap',
    breaks: 'ReadYourWrites',
    depth: 22,
    simulated: 'a mirror does not notice that a delta begins after what it knows',
    constants: { ...EARLY_REGION, MaxSeq: '2', MaxPushes: '1', Happens: '{"unrelated"}' },
  },
  {
    fault: 'strong within the bound',
    breaks: 'StrongReads',
    depth: 17,
    simulated: 'a strong read is content with a mirror within the bound',
    constants: {},
  },
  {
    fault: 'token ignored',
    breaks: 'ReadYourWrites',
    depth: 18,
    simulated: 'the token of a session is ignored',
    constants: { ...SESSIONS, MaxSeq: '2', Happens: '{"unrelated"}' },
  },
  {
    fault: 'outbox not asked',
    breaks: 'MonotonicReads',
    depth: 23,
    simulated: 'a fill does not ask the outbox what it may have seen too early',
    constants: { ...SESSIONS, MaxSeq: '2', Happens: '{"unrelated"}' },
  },
  {
    fault: 'delta omits the oldest change',
    breaks: 'StrongReads',
    depth: 21,
    simulated: 'a delta leaves out the oldest change',
    constants: {},
  },
  {
    fault: 'acknowledged before the invalidation',
    breaks: 'StrongReads',
    depth: 20,
    constants: {},
  },
  {
    fault: 'joins a sync without its token',
    breaks: 'ValidTokensAccepted',
    depth: 13,
    simulated: 'a reader joins a sync that did not ask for its token',
    constants: { ...SESSIONS, MaxSeq: '2', Happens: '{"unrelated", "background"}' },
  },
  {
    fault: 'returns to an epoch that it left',
    breaks: 'StrongReads',
    depth: 23,
    constants: {
      Readers: '{r1}',
      Levels: '{"strong", "bounded"}',
      MaxEpoch: '2',
      Happens: '{"root loses storage", "direct", "background"}',
    },
  },
  {
    fault: 'marks of a newer epoch overlooked',
    breaks: 'MonotonicReads',
    depth: 27,
    simulated: 'the epochs in which changes were relayed are ignored',
    constants: {
      Readers: '{r1}',
      Levels: '{"session", "bounded"}',
      MaxEpoch: '2',
      Happens: '{"mark", "unrelated", "root loses storage"}',
    },
  },
  {
    fault: "suspect reader takes another's fill",
    breaks: 'SourceBoundedReads',
    depth: 23,
    simulated: 'a reader with a suspect source shares a fill that was read long before it began',
    constants: SOURCE,
  },
];

/** The configuration that shows a fault: it checks the promises alone, because clients see nothing else. */
export function configurationOf({ fault, constants }: ModelFault): Configuration {
  return { constants: { ...SMALL, ...constants, Faults: `{"${fault}"}` }, invariants: PROMISES };
}
