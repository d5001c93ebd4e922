import { COLLECTION, rowTag } from '../simulation/origin.ts';
import { planOf } from '../simulation/plan.ts';
import type { RecordedEvent } from '../simulation/recording.ts';
import { run } from '../simulation/run.ts';
import { ISOLATES, KEYS, LIST, REGIONS_OF_WORLD, ROWS } from '../simulation/steps.ts';

/** One line of a recording: an event, and the virtual time at which it happened, in whole milliseconds. */
export type Line = RecordedEvent & { readonly ms: number };

/**
 * Runs a seed of the simulation and records it. Isolates are not restarted: in the simulation the requests of an isolate
 * that was restarted go on with its old memory, and in the model they end. Late fills are left out as well, because
 * the model has one bound of the source for all keys.
 */
export async function recordingOf(seed: number): Promise<Line[]> {
  const lines: Line[] = [];
  const plan = planOf(seed, false);
  const steps = plan.steps.filter((step) => step.kind !== 'restart' || !step.machine.startsWith('isolate'));
  await run({ ...plan, steps }, false, (atMs, event) => lines.push({ ms: Math.floor(atMs), ...event }));
  return lines;
}

/** A recording that no run can have made: what is wrong with it, and how it comes about. */
export const MUTILATIONS: Readonly<Record<string, (lines: readonly Line[]) => Line[]>> = {
  'an invalidation is left out': (lines) => {
    const at = lines.findIndex((line) => line.do === 'invalidate');
    return lines.toSpliced(at, 1);
  },
  'an answer has a later token': (lines) => {
    const at = lines.findLastIndex((line) => line.do === 'answer' && line.how === 'hit');
    const line = lines[at];
    if (line?.do !== 'answer' || line.token === undefined) throw new Error('No read was a hit.');
    return lines.with(at, { ...line, token: { ...line.token, seq: line.token.seq + 1 } });
  },
  'a stamp is older than the mirror': (lines) => {
    const at = lines.findLastIndex((line) => line.do === 'stamp' && line.at.seq > 0);
    const line = lines[at];
    if (line?.do !== 'stamp') throw new Error('No read took a stamp.');
    return lines.with(at, { ...line, at: { ...line.at, seq: line.at.seq - 1 } });
  },
};

/** A step of the model: the name of an action and its arguments, as a record of TLA+. */
interface Step {
  readonly ms: number;
  readonly text: string;
}

/** The names that the model knows by position. */
const regionOf = (isolate: number) =>
  REGIONS_OF_WORLD[Math.floor(isolate / (ISOLATES / REGIONS_OF_WORLD.length))];

/**
 * Turns a recording into the module `Trace`: the steps that the model has to take, and the constants of that run.
 *
 * What left no trace in the protocol is left out: a sync whose answer no mirror applied, the second answer to a sync, a push
 * that was lost, a pass that was never closed, and all of a read but its beginning and end where it was not answered.
 */
export function moduleOf(seed: number, lines: readonly Line[]): string {
  const { policies } = planOf(seed, false);
  const steps = stepsOf(lines);
  const log: string[] = [];
  let now = 0;
  for (const { ms, text } of steps) {
    if (ms > now) log.push(`[do |-> "tick", n |-> ${ms - now}]`);
    now = ms;
    log.push(text);
  }
  const count = (kind: string) => lines.filter((line) => line.do === kind).length;
  const bounds = KEYS.map((key) => `${quoted(key)} :> ${policies[key]?.boundMs}`);
  const deps = KEYS.map((key) => `${quoted(key)} :> ${setOf(depsOf(key))}`);
  const regions = Array.from({ length: ISOLATES }, (_, n) => `"isolate ${n}" :> "${regionOf(n)}"`);
  return [
    '------------------------------- MODULE Trace -------------------------------',
    'EXTENDS Integers, Sequences, TLC',
    `TraceBound == ${bounds.join(' @@ ')}`,
    `TraceDeps == ${deps.join(' @@ ')}`,
    `TraceRegions == ${regions.join(' @@ ')}`,
    `TraceReaders == {${Array.from({ length: slots.most }, (_, slot) => reader(slot + 1)).join(', ')}}`,
    `TracePasses == 1..${Math.max(1, count('close'))}`,
    `TraceCommits == ${count('commit')}`,
    `TraceSeq == ${count('invalidate')}`,
    `TraceEpochs == ${count('reset') + 1}`,
    'Log == <<',
    log.map((text) => `  ${text}`).join(',\n'),
    '>>',
    '=============================================================================',
    '',
  ].join('\n');
}

const depsOf = (key: string) =>
  key === LIST
    ? [COLLECTION, ...Array.from({ length: ROWS }, (_, row) => rowTag(row))]
    : [rowTag(Number(key.split('/')[1]))];

const quoted = (text: string) => JSON.stringify(text);
const setOf = (texts: readonly string[]) => `{${texts.map(quoted).join(', ')}}`;

/** Readers of the model, taken by the reads of a run one after the other. */
class Slots {
  readonly #free: number[] = [];
  readonly #taken = new Map<string, number>();
  most = 0;

  of(name: string): string {
    const known = this.#taken.get(name);
    if (known !== undefined) return reader(known);
    const slot = this.#free.pop() ?? this.most + 1;
    this.most = Math.max(this.most, slot);
    this.#taken.set(name, slot);
    return reader(slot);
  }

  release(name: string): string {
    const taken = this.of(name);
    this.#free.push(this.#taken.get(name) ?? 0);
    this.#taken.delete(name);
    return taken;
  }
}
const reader = (slot: number) => quoted(`r${slot}`);
let slots = new Slots();

/** The root sends its pushes within the call that invalidates, so they are recorded right before it. */
function withPushesAfter(lines: readonly Line[]): Line[] {
  const ordered: Line[] = [];
  let pushes: Line[] = [];
  for (const line of lines) {
    if (line.do === 'push') {
      pushes.push(line);
      continue;
    }
    const isCause = (push: Line) =>
      push.do === 'push' && line.do === 'invalidate' && push.at.seq === line.at.seq;
    ordered.push(...pushes.filter((push) => !isCause(push)), line, ...pushes.filter(isCause));
    pushes = [];
  }
  return [...ordered, ...pushes];
}

function stepsOf(recorded: readonly Line[]): Step[] {
  slots = new Slots();
  const lines = withPushesAfter(recorded);
  const about = surveyOf(lines);
  return lines.flatMap((line, index) => {
    const texts = textsOf(line, index, about);
    return texts.map((fields) => ({ ms: line.ms, text: recordOf(fields) }));
  });
}

type Fields = Readonly<Record<string, string | number>>;
const recordOf = (fields: Fields) =>
  `[${Object.entries(fields)
    .map(([name, value]) => `${name} |-> ${value}`)
    .join(', ')}]`;

type ReadLine = Extract<Line, { read: number }>;
type Answer = Extract<Line, { do: 'answer' }>;

interface Survey {
  readonly epochs: ReadonlyMap<string, number>;
  readonly followerOf: ReadonlyMap<number, string>;
  /** By which clock's answer each sync was applied. */
  readonly applied: ReadonlyMap<number, 'root' | 'region'>;
  readonly pushes: ReadonlyMap<number, Extract<Line, { do: 'push' }>>;
  /** The line of each push's first arrival. */
  readonly arrived: ReadonlyMap<number, number>;
  readonly closed: readonly number[];
  readonly reads: ReadonlyMap<number, readonly (ReadLine & { readonly index: number })[]>;
  /** The commit that made a version of a dep, by `dep/version`. */
  readonly commitOf: ReadonlyMap<string, number>;
}

function surveyOf(lines: readonly Line[]): Survey {
  const epochs = new Map([['', 0]]);
  const followerOf = new Map<number, string>();
  const pushes = new Map<number, Extract<Line, { do: 'push' }>>();
  const reads = new Map<number, (ReadLine & { index: number })[]>();
  const commitOf = new Map<string, number>();
  const open = new Set<number>();
  const closed: number[] = [];
  for (const [index, line] of lines.entries()) {
    if ('at' in line && !epochs.has(line.at.epoch)) epochs.set(line.at.epoch, epochs.size);
    if (line.do === 'send') followerOf.set(line.sync, line.from);
    if (line.do === 'push') pushes.set(line.push, line);
    if (line.do === 'commit')
      for (const [dep, version] of Object.entries(line.versions)) commitOf.set(`${dep}/${version}`, line.id);
    if (line.do === 'open') open.add(line.pass);
    // A pass of an earlier life of the root moves no watermark.
    if (line.do === 'reset' || (line.do === 'restart' && line.machine === 'root')) open.clear();
    if (line.do === 'close' && open.has(line.pass)) closed.push(line.pass);
    if ('read' in line) reads.set(line.read, [...(reads.get(line.read) ?? []), { ...line, index }]);
  }
  const applied = new Map(
    lines.flatMap((line) => (line.do === 'apply' ? [[line.sync, line.by] as const] : [])),
  );
  // A push that brings what an earlier one brought, or that arrives again, changes nothing.
  const arrived = new Map<number, number>();
  const brought = new Set<string>();
  for (const [index, line] of lines.entries()) {
    const push = line.do === 'pushed' ? pushes.get(line.push) : undefined;
    const content = push && `${push.to}/${push.since}/${push.at.epoch}/${push.at.seq}`;
    if (push === undefined || content === undefined || brought.has(content)) continue;
    brought.add(content);
    arrived.set(push.push, index);
  }
  return { epochs, followerOf, applied, pushes, arrived, closed, reads, commitOf };
}

function textsOf(line: Line, index: number, about: Survey): Fields[] {
  const { epochs, followerOf, applied, pushes, arrived, closed } = about;
  const moment = (token: { epoch: string; seq: number } | undefined) =>
    token === undefined ? { e: 0, s: 0 } : { e: epochs.get(token.epoch) ?? 0, s: token.seq };
  const name = quoted(line.do);
  switch (line.do) {
    case 'commit':
      return [{ do: name, tags: setOf(line.tags) }];
    case 'invalidate':
      return [{ do: name, tags: setOf(line.tags), ...moment(line.at) }];
    case 'mark':
      return [{ do: name, commits: `{${line.commits.join(', ')}}`, ...moment(line.at) }];
    case 'sweep':
    case 'reset':
      return [{ do: name }];
    case 'open':
    case 'close':
      return closed.includes(line.pass) ? [{ do: name, p: closed.indexOf(line.pass) + 1 }] : [];
    case 'push':
      return arrived.has(line.push)
        ? [{ do: name, g: quoted(line.to), since: line.since, ...moment(line.at) }]
        : [];
    case 'pushed': {
      const push = pushes.get(line.push);
      if (push === undefined || arrived.get(line.push) !== index) return [];
      return [{ do: name, g: quoted(push.to), since: push.since, ...moment(push.at) }];
    }
    case 'send':
      if (!applied.has(line.sync)) return [];
      return [{ do: name, f: quoted(line.from), max: line.maxAgeMs, ...moment(line.token) }];
    case 'answers':
    case 'apply': {
      const f = followerOf.get(line.sync) ?? '';
      if (applied.get(line.sync) !== line.by) return [];
      const by = line.do === 'answers' ? { by: quoted(line.by) } : {};
      return [{ do: name, f: quoted(f), ...by, ...moment(line.at) }];
    }
    case 'restart': {
      const kind = line.machine.split(' ')[0] ?? '';
      return kind === 'gate'
        ? []
        : [{ do: quoted(`restart ${REGIONS.has(kind) ? 'region' : kind}`), f: quoted(line.machine) }];
    }
    default:
      return textsOfRead(line, index, about, moment);
  }
}

const REGIONS = new Set<string>(REGIONS_OF_WORLD);

/** The steps of a read, or of a refresh behind one that was answered from a tier. */
function textsOfRead(
  line: ReadLine,
  index: number,
  { reads, epochs, commitOf }: Survey,
  moment: (token: { epoch: string; seq: number } | undefined) => { e: number; s: number },
): Fields[] {
  const all = reads.get(line.read) ?? [];
  const end = all.find((other) => other.do === 'answer' || other.do === 'fail');
  const answer: Answer | undefined = end?.do === 'answer' ? end : undefined;
  const how = answer?.how ?? 'none';
  const own = `read ${line.read}`;
  const behind = `refresh ${line.read}`;
  const begin = all.find((other) => other.do === 'begin');
  if (begin?.do !== 'begin') throw new Error(`Read ${line.read} has no beginning.`);
  const isFirst = (kind: string) => all.find((other) => other.do === kind)?.index === index;
  const loaded = all.find((other) => other.do === 'loaded');
  const asOf = loaded?.do === 'loaded' ? asOfOf(loaded.asOf) : 0;
  const isRefresh = how === 'hit' || how === 'marked';
  const isRefreshed = isRefresh && loaded?.do === 'loaded' && loaded.storable;
  switch (line.do) {
    case 'begin': {
      const level = line.token !== undefined && line.level !== 'strong' ? 'session' : line.level;
      const first = {
        do: '"begin"',
        r: slots.of(own),
        i: quoted(line.isolate),
        k: quoted(line.key),
        level: quoted(level === 'eventual' ? 'bounded' : level),
        ...moment(line.token),
      };
      return end === undefined ? [first, { do: '"leave"', r: slots.release(own) }] : [first];
    }
    case 'fail':
      return [{ do: '"leave"', r: slots.release(own) }];
    case 'look':
      return isFirst('look') && ['hit', 'share', 'fill', 'bypass'].includes(how)
        ? [{ do: '"look"', r: slots.of(own) }]
        : [];
    case 'miss':
    case 'stamp': {
      const needsMiss = line.do === 'miss' ? isFirst('miss') : !all.some((other) => other.do === 'miss');
      const stamps = line.do === 'stamp' ? [{ do: '"stamp"', ...moment(line.at) }] : [];
      if (isRefreshed) {
        const start = {
          do: '"refresh"',
          r: slots.of(behind),
          i: quoted(begin.isolate),
          k: quoted(begin.key),
        };
        return [...(needsMiss ? [start] : []), ...stamps.map((stamp) => ({ ...stamp, r: slots.of(behind) }))];
      }
      if (how !== 'share' && how !== 'fill') return [];
      const r = slots.of(own);
      return [...(needsMiss ? [{ do: '"miss"', r }] : []), ...stamps.map((stamp) => ({ ...stamp, r }))];
    }
    case 'data':
    case 'report': {
      const about = line.do === 'report' ? { asOf } : {};
      if (how === 'bypass' && line.do === 'data')
        return [{ do: '"bypass"', r: slots.release(own), v: versionOf(answer, commitOf) }];
      if (isRefreshed) return [{ do: quoted(line.do), r: slots.of(behind), ...about }];
      return how === 'fill' ? [{ do: quoted(line.do), r: slots.of(own), ...about }] : [];
    }
    case 'loaded': {
      const r = slots.of(isRefreshed ? behind : own);
      if (isRefreshed) slots.release(behind);
      else if (how !== 'fill' || !line.storable) return [];
      const known = { do: '"loaded"', r, asOf };
      return isRefreshed ? [known, { do: '"refreshed"', r, asOf }] : [known];
    }
    case 'answer': {
      if (how === 'bypass') return [];
      const r = slots.release(own);
      if (how === 'marked') return [{ do: '"leave"', r }];
      const { epoch, stamp, asOf: entryAsOf } = line.entry;
      const { e, s } = moment(line.token);
      const entry = {
        e: epochs.get(epoch) ?? 0,
        s: stamp,
        asOf: asOfOf(entryAsOf),
        v: versionOf(line, commitOf),
      };
      return [{ do: quoted(how), r, x: recordOf(entry), e, s }];
    }
  }
}

const asOfOf = (asOf: number | null | undefined) => (asOf === null ? -1 : (asOf ?? 0));

/** The newest commit that an answer shows; -1 for "there is no such row", which several commits may have made. */
function versionOf(answer: Answer | undefined, commitOf: ReadonlyMap<string, number>): number {
  const shown: unknown = JSON.parse(answer?.entry.body ?? 'null');
  if (typeof shown !== 'object' || shown === null) return -1;
  return Math.max(...Object.entries(shown).map(([dep, version]) => commitOf.get(`${dep}/${version}`) ?? 0));
}
