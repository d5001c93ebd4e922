import { loadAsOf } from '../../src/cache/as-of.ts';
import { formatToken, parseToken, type Token } from '../../src/cache/clock/clock.ts';
import type { ClockParent, SyncRequest } from '../../src/cache/clock/mirror.ts';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { hashesToInvalidate } from '../../src/cache/entry.ts';
import type { FillGatePort } from '../../src/cache/fill-gate.ts';
import { type CachedAnswer, type Consistency, readThrough } from '../../src/cache/read-through.ts';
import type { Loaded } from '../../src/define/view.ts';
import { announcedWrite } from '../../src/pipeline/announced-write.ts';
import type { RelayPorts } from '../../src/pipeline/relay.ts';
import { Failure } from '../../src/platform/failure.ts';
import { hashText } from '../../src/platform/random.ts';
import type { OutboxReport } from '../../src/storage/postgres/reflecting.ts';
import type { ReadRecord } from '../support/coherence/judge.ts';
import { GateMachine, IsolateMachine, RegionMachine, RelayMachine, RootMachine } from './machines.ts';
import { Chance, type Machine, Network, never } from './network.ts';
import { type Change, type Commit, Origin } from './origin.ts';
import { ISOLATES_A_REGION, KEYS, LIST, type Plan, REGIONS_OF_WORLD, ROWS } from './plan.ts';
import {
  type Circumstances,
  DirectReads,
  judgeFailure,
  judgeStandIn,
  OpenReads,
  type Refusal,
} from './reach.ts';
import { Recorder } from './recorder.ts';
import { answered, committed, momentOf, type RecordEvent } from './recording.ts';
import { type Ask, recordsOf } from './records.ts';
import { Scheduler } from './scheduler.ts';
import { SharedTiers } from './tiers.ts';

const keepAlive = () => undefined;
/** As the driver has it (`src/storage/postgres/connect.ts`), in milliseconds. */
const STATEMENT_MS_MAX = 10_000;

class Defect extends Error {}

/**
 * Regions, isolates, tiers, a database and a relay, made of the real rules and of machines that fail. What clients
 * did and saw is recorded as one who sees everything would.
 */
export class World {
  readonly scheduler = new Scheduler();
  readonly reads: ReadRecord[] = [];
  readonly origin = new Origin(ROWS);
  readonly trace: string[] | undefined;
  readonly #plan: Plan;
  readonly #chance: Chance;
  readonly #network: Network;
  readonly #root: RootMachine;
  readonly #relay: RelayMachine;
  readonly #regions: ReadonlyMap<string, RegionMachine>;
  readonly #isolates: readonly IsolateMachine[];
  readonly #gates: ReadonlyMap<string, GateMachine>;
  readonly #tiers: SharedTiers;
  readonly #recorder: Recorder;
  #order = 0;
  hits = 0;
  unanswered = 0;
  readonly refusals: Refusal[] = [];
  readonly openReads = new OpenReads();
  readonly #directReads = new DirectReads();

  constructor(plan: Plan, withTrace: boolean, record?: RecordEvent) {
    this.#plan = plan;
    this.#recorder = new Recorder(record, () => this.scheduler.nowMs);
    this.trace = withTrace ? [] : undefined;
    const { scheduler } = this;
    const everyRow = Array.from({ length: ROWS }, (_, row): Change => ({ row, kind: 'update' }));
    const first = this.origin.commit(everyRow, this.#moment());
    this.#recorder.note(() => committed(first));
    this.#chance = new Chance(plan.seed, scheduler);
    this.#network = new Network(scheduler, this.#chance, plan.network);
    this.#tiers = new SharedTiers(scheduler, this.#chance, plan.kvLagMsMax);
    this.#root = new RootMachine(
      {
        time: this.#timeOf('root'),
        push: async (region, pushed) => {
          const to = this.#region(region);
          const push = this.#recorder.nextId();
          this.#recorder.note(() => ({
            do: 'push',
            push,
            to: region,
            since: pushed.sinceSeq,
            at: momentOf(pushed),
          }));
          const receive = () => {
            this.#recorder.note(() => ({ do: 'pushed', push }));
            this.log(() => `${region} is pushed ${formatToken(pushed)}, from ${pushed.sinceSeq}`);
            to.clock.receive(pushed);
          };
          if (this.#chance.happens('push', plan.network.pushLoss)) throw new Error('The push was lost.');
          await this.#network.call(this.#root, to, receive, true);
        },
        heartbeat: async () =>
          await this.#network.call(this.#root, this.#relay, () => this.#relay.sweeper.heartbeat()),
      },
      plan.memory,
    );
    this.#relay = new RelayMachine(
      {
        relay: () => this.#relayPorts(),
        isRefused: () => false,
        openPass: async () => {
          const { life } = this.#relay;
          const id = this.#recorder.nextId();
          const pass = await this.#toRoot(this.#relay, () => {
            this.#recorder.note(() => ({ do: 'open', pass: id }));
            return this.#root.clock.openPass(OUTBOX);
          });
          return async () => {
            if (this.#relay.life !== life) await never();
            await this.#toRoot(this.#relay, () => {
              this.#recorder.note(() => ({ do: 'close', pass: id }));
              this.#root.clock.closePass(pass);
            });
          };
        },
      },
      scheduler,
    );
    this.#regions = new Map(
      REGIONS_OF_WORLD.map((name) => {
        const region: RegionMachine = new RegionMachine(
          name,
          {
            sync: async (request) => {
              const from = this.#region(name);
              const sync = this.#recorder.sends(name, request);
              const answer = await this.#toRoot(from, () =>
                this.#recorder.answersOf('root', sync, this.#root.clock, request),
              );
              this.#recorder.arrives(sync, answer);
              this.log(() => `${name} learns from the root: ${formatToken(answer)}`);
              return answer;
            },
          },
          this.#timeOf(name),
          plan.memory,
        );
        return [name, region];
      }),
    );
    for (const region of this.#regions.values())
      this.#network.stretch(this.#root, region, plan.network.rootMsMax);
    this.#isolates = REGIONS_OF_WORLD.flatMap((region) =>
      Array.from({ length: ISOLATES_A_REGION }, () => this.#region(region)),
    ).map(
      (region, n) =>
        new IsolateMachine(
          `isolate ${n}`,
          region,
          this.#timeOf(`isolate ${n}`),
          !plan.hedgesRegions,
          plan.memory,
        ),
    );
    this.#gates = new Map(
      KEYS.map((key) => [key, new GateMachine(key, this.#timeOf(`gate of ${key}`), scheduler)]),
    );
  }

  machine(name: string): Machine {
    const found = [this.#root, this.#relay, this.origin, ...this.#regions.values(), ...this.#isolates].find(
      (machine) => machine.name === name,
    );
    const gate = [...this.#gates.values()].find((machine) => machine.name === name);
    const machine = found ?? gate;
    if (machine === undefined) throw new RangeError(`There is no ${name}.`);
    return machine;
  }

  get network(): Network {
    return this.#network;
  }

  boundMs(key: string): number {
    return this.#plan.policies[key]?.boundMs ?? 0;
  }

  resetRoot(): void {
    this.#root.reset();
    this.#recorder.note(() => ({ do: 'reset' }));
  }

  restart(name: string): void {
    this.machine(name).restart();
    this.#recorder.note(() => ({ do: 'restart', machine: name }));
  }

  forgetColo(region: string): void {
    this.#tiers.forgetColo(region);
  }

  log(line: () => string): void {
    this.trace?.push(`${String(Math.round(this.scheduler.nowMs)).padStart(6)} ms  ${line()}`);
  }

  /** A client's read; returns what its session carries on. */
  async read(at: number, key: string, ask: Ask): Promise<{ token: Token | undefined; epochIsOver: boolean }> {
    const isolate = this.#isolates[at] as IsolateMachine;
    const { life } = isolate;
    const begun = this.#moment();
    const consistency: Consistency = { level: ask.level, atLeast: ask.token };
    const read = this.#recorder.nextId();
    this.#recorder.note(() => {
      const level = ask.level ?? this.#plan.policies[key]?.level ?? 'bounded';
      return { do: 'begin', read, isolate: isolate.name, key, level, token: ask.token };
    });
    const what = `${isolate.name}, ${key}, ${ask.session ?? ask.level ?? 'bounded'}`;
    const seen = this.#watch(isolate, begun, ask.token);
    this.openReads.begin(begun, what, () => isolate.life !== life);
    let answer: CachedAnswer;
    try {
      answer = await this.#answer(isolate, key, consistency, read);
    } catch (error) {
      this.#recorder.note(() => ({ do: 'fail', read }));
      this.unanswered += 1;
      this.refusals.push(
        ...this.openReads.end(begun, what, this.scheduler.nowMs),
        ...(isolate.life === life ? judgeFailure(what, error, seen()) : []),
      );
      this.log(() => `${isolate.name} fails to read ${key}: ${error}`);
      const code = error instanceof Failure ? error.code : '';
      return { token: ask.token, epochIsOver: code.startsWith('token_from') };
    }
    this.refusals.push(...this.openReads.end(begun, what, this.scheduler.nowMs));
    if (isolate.life !== life) return { token: ask.token, epochIsOver: false };
    if (answer.unverified === 'origin-unavailable') this.refusals.push(...judgeStandIn(what, seen()));
    const token = answer.token === undefined ? undefined : parseToken(answer.token);
    this.#recorder.note(() => answered(read, answer, token));
    this.#record(isolate, key, ask, begun, answer);
    return { token: token ?? ask.token, epochIsOver: false };
  }

  /** What is true of a read until it ends. */
  #watch(isolate: IsolateMachine, begun: ReadRecord['begun'], token: Token | undefined): () => Circumstances {
    const epoch = this.#root.epoch;
    const since = begun.ms;
    return () => {
      const isDatabaseInReach =
        this.#network.isSoundSince(isolate, this.origin, since) && this.origin.lastDownMs < since;
      return {
        begun,
        endedMs: this.scheduler.nowMs,
        token,
        epochs: [epoch, this.#root.epoch],
        isDatabaseInReach,
        isDatabasePrompt: isDatabaseInReach && this.#network.isPromptSince(isolate, this.origin, since),
        hasDefect: this.origin.lastDefectMs >= since,
      };
    };
  }

  /** A client's write through an isolate, acknowledged once it is invalidated. */
  async write(at: number, changes: readonly Change[]): Promise<Token | undefined> {
    const isolate = this.#isolates[at] as IsolateMachine;
    try {
      const { written, token } = await announcedWrite({
        arm: async () => await this.#network.call(isolate, this.#relay, () => this.#relay.arm()),
        commit: async () =>
          await this.#toOrigin(isolate, () => this.#commit(`${isolate.name} commits`, changes)),
        invalidate: async ({ tags, records, outboxId }: Commit) => {
          const answered = await this.#invalidateFrom(isolate, tags);
          isolate.invalidated.note([outboxId], answered);
          for (const record of records) record.token = answered;
          return answered;
        },
        markRelayed: async ({ outboxId }, answered) =>
          await this.#toOrigin(isolate, () => this.#mark([outboxId], answered)),
        keepAlive,
      });
      const acknowledged = this.#moment();
      for (const record of written.records) record.acknowledged = acknowledged;
      this.log(() => `${isolate.name} acknowledges ${written.tags.join(', ')} with ${formatToken(token)}`);
      return token;
    } catch (error) {
      this.log(() => `${isolate.name} has no answer to its write: ${error}`);
      return undefined;
    }
  }

  foreignWrite(changes: readonly Change[]): void {
    this.#commit('another application commits', changes);
  }

  #commit(who: string, changes: readonly Change[]): Commit {
    const commit = this.origin.commit(changes, this.#moment());
    this.#recorder.note(() => committed(commit));
    this.log(() => `${who} ${commit.records.map(({ dep, version }) => `${dep} v${version}`).join(', ')}`);
    return commit;
  }

  #invalidate(tags: readonly string[]): Token {
    const token = this.#root.clock.invalidate(hashesToInvalidate(tags));
    this.#recorder.note(() => ({ do: 'invalidate', tags: [...new Set(tags)], at: token }));
    this.log(() => `the root invalidates ${[...new Set(tags)].join(', ')}: ${formatToken(token)}`);
    return token;
  }

  #mark(ids: readonly number[], at: Token): void {
    this.origin.markRelayed(ids, at);
    this.#recorder.note(() => ({ do: 'mark', commits: ids, at }));
  }

  async #invalidateFrom(isolate: IsolateMachine, tags: readonly string[]): Promise<Token> {
    try {
      return await this.#toRoot(isolate, () => this.#invalidate(tags), true);
    } catch (cause) {
      throw new Failure('clock_unavailable', 'The tag clock does not answer.', { cause });
    }
  }

  async #answer(
    isolate: IsolateMachine,
    key: string,
    consistency: Consistency,
    read: number,
  ): Promise<CachedAnswer> {
    // As they are now: a restart gives the isolate others, and what is still under way goes on with its own.
    const { follower, invalidated, ended, memory, refreshing, recentFills } = isolate;
    const { time, region, regionHedge } = isolate;
    const filler = { name: isolate.name, life: isolate.life };
    const fill = { isBegun: false, hasGate: false, begunMs: 0 };
    const policy = this.#plan.policies[key];
    if (policy === undefined) throw new RangeError(`There is no view of ${key}.`);
    const parent = {
      sync: async (request: SyncRequest) => {
        const sync = this.#recorder.sends(isolate.name, request);
        const asks = (by: 'region' | 'root', clock: ClockParent) => () =>
          this.#recorder.answersOf(by, sync, clock, request);
        const regional = async () => {
          const answer = await this.#network.call(isolate, region, asks('region', region.clock));
          this.log(() => {
            const ageMs = Math.round(answer.ageMs);
            return `${isolate.name} learns ${formatToken(answer)}, ${ageMs} ms old`;
          });
          return answer;
        };
        const root = () => this.#toRoot(isolate, asks('root', this.#root.clock));
        const answer = this.#plan.hedgesRegions
          ? await regionHedge.sync(region.name, regional, root, () => undefined)
          : await regional().catch(root);
        this.#recorder.arrives(sync, answer);
        return answer;
      },
    };
    return await readThrough(
      {
        view: key,
        key,
        policy,
        consistency,
        load: () => {
          if (fill.isBegun && !fill.hasGate)
            this.refusals.push(...this.#directReads.note(filler, key, fill.begunMs));
          return this.#load(isolate, key, { follower, invalidated, ended, read });
        },
      },
      {
        follower,
        context: { parent, keepAlive },
        tiers: [memory, this.#tiers.colo(isolate), this.#tiers.kv(isolate)].map((tier) =>
          this.#recorder.lookedInto(tier, read),
        ),
        time,
        gateOf: () => {
          fill.hasGate = true;
          return this.#gate(isolate, key);
        },
        recentFills: {
          begin: (filled, nowMs) => {
            fill.isBegun = policy.singleFlight;
            fill.begunMs = nowMs;
            this.#recorder.note(() => ({ do: 'miss', read }));
            return recentFills.begin(filled, nowMs);
          },
        },
        digest: async (text) => String(hashText(text)),
        pingOrigin: () => this.#toOrigin(isolate, () => undefined),
        random: () => this.#chance.draw(`${isolate.name} refreshes`),
        refreshing,
      },
    );
  }

  /** One round trip to the database: the data, and then what the outbox says of it. */
  async #load(
    isolate: IsolateMachine,
    key: string,
    {
      follower,
      invalidated,
      ended,
      read,
    }: Pick<IsolateMachine, 'follower' | 'invalidated' | 'ended'> & {
      read: number;
    },
  ): Promise<Loaded> {
    const { time } = isolate;
    const { epoch, seq } = follower.mirror.clock;
    this.#recorder.note(() => ({ do: 'stamp', read, at: { epoch, seq } }));
    let report: OutboxReport | undefined;
    const load = async (): Promise<Loaded> =>
      await this.#toOrigin(isolate, async () => {
        await this.scheduler.sleep(this.origin.slowMs * this.#chance.draw('origin'));
        const data = key === LIST ? this.origin.list() : this.origin.item(Number(key.split('/')[1]));
        this.#recorder.note(() => ({ do: 'data', read }));
        if (this.origin.defect) {
          this.origin.lastDefectMs = this.scheduler.nowMs;
          throw new Defect('A query has a defect.');
        }
        this.log(() => `${isolate.name} reads ${JSON.stringify(data.value)}`);
        await this.scheduler.sleep(Math.round(this.#chance.between('origin', 0, 3)));
        report = this.origin.report(epoch);
        this.#recorder.note(() => ({ do: 'report', read }));
        return { ...data, storable: true };
      });
    const loaded = await loadAsOf(load, {
      epoch,
      // The database itself is this world's, so nothing is asked through drizzle's.
      reflection: { db: undefined as never, report: () => report, reportOn: never },
      invalidated,
      ended,
      currentEpoch: () => this.#toRoot(isolate, () => this.#root.epoch),
      invalidate: (tags) => this.#invalidateFrom(isolate, tags),
      withTimeout: time.withTimeout,
    });
    const { asOf, storable } = loaded;
    this.#recorder.note(() => ({
      do: 'loaded',
      read,
      asOf: asOf?.epoch === epoch ? asOf.seq : asOf && null,
      storable,
    }));
    return loaded;
  }

  #record(
    isolate: IsolateMachine,
    key: string,
    ask: Ask,
    begun: ReadRecord['begun'],
    answer: CachedAnswer,
  ): void {
    const at = { begun, ended: this.#moment() };
    if (answer.source.hit) this.hits += 1;
    const policy = this.#plan.policies[key];
    if (policy === undefined) throw new RangeError(`There is no view of ${key}.`);
    const tokenOut = answer.token === undefined ? undefined : parseToken(answer.token);
    const { line, records } = recordsOf(isolate.name, key, ask, at, answer, policy, tokenOut);
    this.log(() => line);
    this.reads.push(...records);
  }

  #relayPorts(): RelayPorts {
    const relay = this.#relay;
    const { life } = relay;
    const alive = async <T>(work: () => Promise<T>): Promise<T> =>
      relay.life === life ? await work() : never();
    return {
      readPending: ({ limit, upTo }) =>
        alive(() =>
          this.#toOrigin(relay, () => {
            this.#recorder.note(() => ({ do: 'sweep' }));
            return this.origin.pending(limit, upTo);
          }),
        ),
      invalidate: (tags) => alive(() => this.#toRoot(relay, () => this.#invalidate(tags), true)),
      publish: () => alive(() => this.scheduler.sleep(5)),
      markRelayed: (ids, at) => alive(() => this.#toOrigin(relay, () => this.#mark(ids, at))),
    };
  }

  async #toRoot<T>(from: Machine, work: () => Promise<T> | T, mayDouble = false): Promise<T> {
    return await this.#network.call(from, this.#root, work, mayDouble);
  }

  async #toOrigin<T>(from: Machine, work: () => Promise<T> | T): Promise<T> {
    try {
      const call = this.#network.call(from, this.origin, () => {
        if (this.origin.down) {
          this.origin.lastDownMs = this.scheduler.nowMs;
          throw new Error('The database is down.');
        }
        return work();
      });
      return await (from instanceof IsolateMachine
        ? from.time.withTimeout(call, STATEMENT_MS_MAX, () => new Error('The statement took too long.'))
        : call);
    } catch (error) {
      if (error instanceof Defect) throw error;
      throw new Failure('database_unavailable', 'The database does not answer.', { cause: error });
    }
  }

  #gate(isolate: IsolateMachine, key: string): FillGatePort | undefined {
    const gate = this.#gates.get(key);
    if (gate === undefined) return undefined;
    const call = <T>(work: () => Promise<T>) => this.#network.call(isolate, gate, work);
    return {
      enter: (need, leaseMs) => call(() => gate.host.enter(need, leaseMs)),
      ping: () => call(async () => undefined),
      complete: (ticketId, entry) => call(() => gate.host.complete(ticketId, entry)),
      fail: (ticketId) => call(() => gate.host.fail(ticketId)),
      disband: (ticketId) => call(() => gate.host.disband(ticketId)),
    };
  }

  #region(name: string): RegionMachine {
    return this.#regions.get(name) as RegionMachine;
  }

  /** Every machine's clock is off by up to an hour, and drifts by up to a hundred parts in a million. */
  #timeOf(name: string) {
    const offsetMs = Math.round(this.#chance.between(`${name} offset`, -3_600_000, 3_600_000)) + 1e9;
    return this.scheduler.timeOf(offsetMs, this.#chance.between(`${name} drift`, -1e-4, 1e-4));
  }

  #moment(): ReadRecord['begun'] {
    this.#order += 1;
    return { ms: this.scheduler.nowMs, order: this.#order };
  }
}
