import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A deliberate fault in the rules: a text that stands in a file exactly once, and what takes its place. */
export interface Fault {
  readonly name: string;
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[];
  /** The simulation finds it among the seeds up to this one. */
  readonly seedsMax: number;
  /** Where to begin, for a fault that shows late; 1 if it is not given. */
  readonly firstSeed?: number;
}

const ROOT = join(import.meta.dirname, '../..');
const READ_THROUGH = 'src/cache/read-through.ts';
const CLOCK = 'src/cache/clock/clock.ts';
const DELTA = 'src/cache/clock/delta.ts';
const FOLLOWER = 'src/cache/clock/follower.ts';
const MIRROR = 'src/cache/clock/mirror.ts';
const OPEN_FOLDS = 'src/features/open-folds.ts';
const ROW_CACHE = 'src/features/row-cache.ts';
const SEEN_FOLDS = 'src/features/seen-folds.ts';
const SHARD_STORE = 'durable-objects/feature-shard/store.ts';
const SHARD_PARTS = 'durable-objects/feature-shard/parts.ts';
const GROUPS = 'src/features/groups.ts';

/** Parts of the project that the simulation needs besides `src`. */
export const PARTS = ['durable-objects'];

/** Faults that show in any run with some bad luck. */
const FEW = 200;
/** Faults that need several things to go wrong in one order. */
const MANY = 2_000;

function fault(name: string, seedsMax: number, file: string, from: string, to: string): Fault {
  return { name, seedsMax, edits: [{ file, from, to }] };
}

const FILLED_WITH = 'entry: await entryOf(loaded, request, { epoch, stamp, fillMs, now }, ports),';
const MIRROR_NOW =
  'epoch: ports.follower.mirror.clock.epoch, stamp: ports.follower.mirror.clock.seq, fillMs, now';

/** Faults that stand, or stood, in caches in wide use, and those that this design invites. */
export const FAULTS: readonly Fault[] = [
  fault(
    'the stamp is taken after the read',
    FEW,
    READ_THROUGH,
    FILLED_WITH,
    `entry: await entryOf(loaded, request, { ${MIRROR_NOW} }, ports),`,
  ),
  fault(
    'the stamp is taken when the entry is written',
    FEW,
    READ_THROUGH,
    'ports.context.keepAlive(Promise.resolve(tier.put(request.key, entry)));',
    'ports.context.keepAlive(Promise.resolve(tier.put(request.key, { ...entry, stamp: ports.follower.mirror.clock.seq })));',
  ),
  fault(
    'a late delta lowers the version of a tag',
    MANY,
    DELTA,
    'if (seq > clock.seq) changed.add(seq, tag);',
    'changed.add(seq, tag);',
  ),
  fault(
    'an entry is judged that is older than what the clock remembers',
    FEW,
    CLOCK,
    '  if (entry.stamp < changed.floorSeq) return false;\n',
    '',
  ),
  fault(
    'a full memory forgets without saying so',
    FEW,
    'src/cache/clock/changed-tags.ts',
    '    this.#floorSeq = seq;\n',
    '',
  ),
  fault('a delta that was cut says that it is complete', FEW, DELTA, '      sinceSeq = change.seq;\n', ''),
  fault(
    'a mirror does not notice that a delta begins after what it knows',
    FEW,
    DELTA,
    '  if (clock.seq < delta.sinceSeq) changed.forgetUpTo(delta.sinceSeq);\n',
    '',
  ),
  fault(
    'a late change is dropped because a later one was seen',
    FEW,
    CLOCK,
    'for (const tag of tags) clock.changed.add(seq, tag);',
    'for (const tag of tags) if (clock.changed.newestSeqOf(tag) < clock.seq - 2) clock.changed.add(seq, tag);',
  ),
  {
    name: 'the invalidation goes before the commit',
    seedsMax: FEW,
    edits: [
      {
        file: 'test/simulation/world.ts',
        from: '        commit: async () =>\n          await this.deployment.toOrigin(',
        to: '        commit: async () => (early = await this.deployment.toRoot(isolate, () => this.deployment.invalidate(changes.map(({ row }) => "row:".concat(String(row)))), true),\n          await this.deployment.toOrigin(',
      },
      {
        file: 'test/simulation/world.ts',
        from: 'commits`, changes),\n          ),\n        invalidate:',
        to: 'commits`, changes),\n          )),\n        invalidate:',
      },
      {
        file: 'test/simulation/world.ts',
        from: '          const answered = await this.deployment.invalidateFrom(isolate, tags);',
        to: '          void tags;\n          const answered = early as Token;',
      },
      {
        file: 'test/simulation/world.ts',
        from: '    const isolate = this.deployment.isolates[at] as IsolateMachine;\n    try {',
        to: '    const isolate = this.deployment.isolates[at] as IsolateMachine;\n    let early: Token | undefined;\n    try {',
      },
    ],
  },
  fault(
    'a sync is joined that was already sent',
    FEW,
    FOLLOWER,
    'return sentTicket > ticket && ',
    'return ticket > 0 && ',
  ),
  fault(
    'age is counted from the answer and not from the sending',
    FEW,
    FOLLOWER,
    'applySync(this.mirror, answer, sent);',
    'applySync(this.mirror, answer, { ...sent, atMs: this.#time.now() });',
  ),
  {
    ...fault(
      "the parent's own age is left out",
      MANY,
      MIRROR,
      '    mirror.parentAgeMs = answer.ageMs;',
      '    mirror.parentAgeMs = 0;',
    ),
    firstSeed: 401,
  },
  fault(
    'the cache fails open while the clock is away',
    FEW,
    READ_THROUGH,
    "  return policy.whenUnverified === 'stale' ? 'unverified' : 'invalidated';",
    "  return policy.whenUnverified === 'stale' ? 'unverified' : 'valid';",
  ),
  fault('the epoch is ignored', FEW, CLOCK, '  if (entry.epoch !== clock.epoch) return false;\n', ''),
  fault(
    'the watermark is ignored',
    MANY,
    READ_THROUGH,
    'return oldestSourceAgeMs(mirror.completeUntilMs, nowMs) > sourceMaxAgeMs;',
    'return oldestSourceAgeMs(mirror.completeUntilMs, nowMs) < 0;',
  ),
  fault(
    'the second invalidation of one request is dropped',
    FEW,
    CLOCK,
    'for (const tag of tags) clock.changed.add(seq, tag);',
    'for (const tag of tags.slice(0, 1)) clock.changed.add(seq, tag);',
  ),
  fault(
    'a negative entry lacks the tag of what would make it appear',
    FEW,
    'src/cache/entry.ts',
    'tagHashes([...tags, ...purgeTags(view, purgeKey)])',
    'tagHashes([...(value === null ? [] : tags), ...purgeTags(view, purgeKey)])',
  ),
  fault(
    'waiters of a filler are served an older value',
    FEW,
    'src/cache/fill-gate.ts',
    'return entry.epoch === need.epoch && entry.stamp >= need.minStamp;',
    'return entry.epoch === need.epoch;',
  ),
  {
    ...fault(
      'a reader with a suspect source shares a fill that was read long before it began',
      7_200,
      READ_THROUGH,
      '{ maxReadAgeMs: policy.boundMs + policy.sourceBoundMs }',
      '{}',
    ),
    firstSeed: 7_001,
  },
  fault(
    'an invalidation is acknowledged before it is on disk',
    FEW,
    'src/cache/clock/root.ts',
    'save(next, tags, nowMs, phases === undefined ? undefined : () => phases.persist(next));',
    'void save;',
  ),
  fault(
    'a strong read is content with a mirror within the bound',
    FEW,
    READ_THROUGH,
    "level === 'strong' ? 0 : policy.boundMs,",
    'policy.boundMs,',
  ),
  fault(
    'the token of a session is ignored',
    FEW,
    READ_THROUGH,
    'atLeast: consistency.atLeast,\n',
    'atLeast: undefined,\n',
  ),
  fault(
    'a fill does not ask the outbox what it may have seen too early',
    FEW,
    'src/cache/as-of.ts',
    "if (report === undefined || epoch === '') return loaded;",
    "if (report !== undefined || epoch === '') return loaded;",
  ),
  {
    ...fault(
      'the epochs in which changes were relayed are ignored',
      MANY,
      'src/cache/as-of.ts',
      'if (unknown.length === 0) return true;',
      'if (unknown.length >= 0) return true;',
    ),
    firstSeed: 701,
  },
  {
    ...fault(
      'a reader joins a sync that did not ask for its token',
      MANY,
      FOLLOWER,
      ' && covers(request, need.atLeast);',
      ';',
    ),
    firstSeed: 901,
  },
  fault(
    'any failure, not only an outage, is stood in for by an old answer',
    FEW,
    'src/cache/patience.ts',
    'if (!isOutage(error)) throw error;',
    'void isOutage(error);',
  ),
  fault(
    'an old answer stands in for strong and session readers, too',
    FEW,
    'src/cache/freshness.ts',
    "if (policy.staleIfErrorFor === 'bounded' && isPromisedTheClock(level)) return false;",
    'void isPromisedTheClock(level);',
  ),
  fault(
    'an old answer stands in for a database that is slow and answers',
    FEW,
    'src/cache/patience.ts',
    'if (answered !== true) return undefined;',
    'if (answered !== undefined) return undefined;',
  ),
  fault(
    'a sync is waited for without a deadline',
    FEW,
    FOLLOWER,
    'const SYNC_TIMEOUT_MS = 900;',
    'const SYNC_TIMEOUT_MS = 1e9;',
  ),
  fault(
    'a fill gate is waited for without a deadline',
    FEW,
    'src/cache/single-flight.ts',
    'export const ENTER_TIMEOUT_MS = LEASE_MS * WAIT_LEASES_MAX + GATE_SLACK_MS;',
    'export const ENTER_TIMEOUT_MS = 1e9;',
  ),
  fault(
    'an isolate forgets which fills it has begun',
    FEW,
    'src/cache/single-flight.ts',
    'return nowMs - lastMs < LEASE_MS;',
    'return nowMs === lastMs;',
  ),
  fault(
    'a delta leaves out the oldest change',
    FEW,
    DELTA,
    'changed.newestFirst(sinceSeq)',
    'changed.newestFirst(sinceSeq + 1)',
  ),
  fault(
    'a fold is not opened before its commit',
    FEW,
    SHARD_STORE,
    'if (openedBy !== undefined && fresh.length > 0) open.keepOpenFolds(openedBy(fresh));',
    'void openedBy;',
  ),
  fault(
    'a shard shows a fold that is not invalidated yet as if it were',
    FEW,
    OPEN_FOLDS,
    'const open = this.#foldOf.size === 0 ? [] : keys.flatMap(partsOf).filter((one) => this.has(one));',
    'const open: string[] = []; void [keys, partsOf];',
  ),
  fault(
    'an eviction closes the open folds of a shard',
    FEW,
    OPEN_FOLDS,
    'folds.#foldOf.set(hash, fold);',
    'void hash;',
  ),
  fault(
    'a duplicate of an event is acknowledged while its fold is open',
    FEW,
    SHARD_PARTS,
    'event.seq < trackedFrom || folds.has(part)',
    'event.seq < trackedFrom && folds.has(part)',
  ),
  fault(
    'a fold names one group of a key too few',
    FEW,
    SHARD_PARTS,
    'return [...parts, ...cells',
    'return [...parts.slice(0, 1), ...cells',
  ),
  fault(
    'an answer does not name the groups of its features',
    FEW,
    GROUPS,
    '  return [...keyTags(entity, key, features), ...ready];',
    '  return [featureTag(entity, key), ...ready];',
  ),
  fault(
    'the token of a duplicate leaves out the moment at which others have invalidated its fold',
    FEW,
    'src/features/shards.ts',
    'return { at: parts.length === 0 ? undefined : null, untold };',
    'return { at: undefined, untold };',
  ),
  fault(
    'a fold is announced and not invalidated',
    FEW,
    'src/features/shards.ts',
    'const at = await invalidate(tags);',
    'const at = await invalidate([]);',
  ),
  fault(
    'a reader does not invalidate the open folds that it shows',
    FEW,
    SEEN_FOLDS,
    'if (open.length === 0) return undefined;',
    'if (open.length >= 0) return undefined;',
  ),
  fault(
    'the moment that a shard names is left out of the token',
    FEW,
    SEEN_FOLDS,
    'return seqs.length === 0 ? undefined : { epoch, seq: Math.max(...seqs) };',
    'return seqs.length === 0 ? undefined : undefined;',
  ),
  fault(
    'a kept row of features does not bring its moment along',
    FEW,
    ROW_CACHE,
    'if (kept.asOf !== undefined) covering',
    'if (kept.asOf === -1) covering',
  ),
  fault(
    'a read of features ignores the token of its session',
    FEW,
    ROW_CACHE,
    "maxAgeMs: level === 'strong' ? 0 : BOUND_MS, atLeast }",
    "maxAgeMs: level === 'strong' ? 0 : BOUND_MS, atLeast: atLeast && undefined }",
  ),
  fault(
    'a prediction leaves out the moment of its champion',
    FEW,
    'src/gateway/champion.ts',
    'watched?.note(momentOf(answer));',
    'void momentOf(answer);',
  ),
  fault(
    'a prediction leaves out the moment of the features that it has from memory',
    FEW,
    'src/gateway/champion.ts',
    'watched.note(token ?? null);',
    'void token;',
  ),
];

/** A copy of the rules and of the simulation, and of other parts, with a fault in it; removed when disposed. */
export function faultyCopy(
  fault: Fault,
  others: readonly string[] = [],
): Disposable & { readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-fault-'));
  for (const part of [
    'package.json',
    'src',
    'scripts/command-line',
    'test/simulation',
    'test/support',
    ...others,
  ])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  // The simulations have a catalog of their own, and what the deployment's re-exports is not copied.
  rmSync(join(folder, 'src/catalog'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const [file, text] of faultyTexts(fault)) writeFileSync(join(folder, file), text);
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

/** @returns the files that the fault changes, with their changed text. Throws if a text does not occur exactly once. */
export function faultyTexts({ name, edits }: Fault): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const { file, from, to } of edits) {
    const parts = (texts.get(file) ?? readFileSync(join(ROOT, file), 'utf8')).split(from);
    if (parts.length !== 2)
      throw new Error(`"${name}": the text that it replaces occurs ${parts.length - 1} times in ${file}.`);
    texts.set(file, parts.join(to));
  }
  return texts;
}

/** The options of a simulation that has to find the fault. */
export function seedsOf({ seedsMax, firstSeed = 1 }: Fault): string[] {
  return ['--seeds', String(seedsMax - firstSeed + 1), '--seed', String(firstSeed)];
}
