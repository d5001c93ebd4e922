import { loadAsOf } from '../../src/cache/as-of.ts';
import { formatToken, parseToken, type Token } from '../../src/cache/clock/clock.ts';
import { slotsOf } from '../../src/cache/clock/slots.ts';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
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
import { type Change, COLLECTION, type Commit, Origin, rowTag } from './origin.ts';
import { ISOLATES_A_REGION, KEYS, LIST, type Plan, REGIONS_OF_WORLD, ROWS } from './plan.ts';
import { Scheduler } from './scheduler.ts';
import { SharedTiers } from './tiers.ts';

/** An answer's value: for each dep that it shows, the version. */
type Shown = Readonly<Record<string, number>>;

const keepAlive = () => undefined;

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
  #order = 0;
  hits = 0;
  unanswered = 0;

  constructor(plan: Plan, withTrace: boolean) {
    this.#plan = plan;
    this.trace = withTrace ? [] : undefined;
    const { scheduler } = this;
    const everyRow = Array.from({ length: ROWS }, (_, row): Change => ({ row, kind: 'update' }));
    this.origin.commit(everyRow, this.#moment());
    this.#chance = new Chance(plan.seed, scheduler);
    this.#network = new Network(scheduler, this.#chance, plan.network);
    this.#tiers = new SharedTiers(scheduler, this.#chance, plan.kvLagMsMax);
    this.#root = new RootMachine({
      time: this.#timeOf('root'),
      push: async (region, pushed) => {
        const to = this.#region(region);
        const receive = () => {
          this.log(() => `${region} is pushed ${formatToken(pushed)}, from ${pushed.sinceSeq}`);
          to.clock.receive(pushed);
        };
        if (this.#chance.happens('push', plan.network.pushLoss)) throw new Error('The push was lost.');
        await this.#network.call(this.#root, to, receive, true);
      },
      heartbeat: async () =>
        await this.#network.call(this.#root, this.#relay, () => this.#relay.sweeper.heartbeat()),
    });
    this.#relay = new RelayMachine(
      {
        relay: () => this.#relayPorts(),
        isTimeout: () => false,
        openPass: async () => {
          const { life } = this.#relay;
          const pass = await this.#toRoot(this.#relay, () => this.#root.clock.openPass(OUTBOX));
          return async () => {
            if (this.#relay.life !== life) await never();
            await this.#toRoot(this.#relay, () => this.#root.clock.closePass(pass));
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
              const answer = await this.#toRoot(from, () => this.#root.clock.sync(request));
              this.log(() => `${name} learns from the root: ${formatToken(answer)}`);
              return answer;
            },
          },
          this.#timeOf(name),
        );
        return [name, region];
      }),
    );
    for (const region of this.#regions.values())
      this.#network.stretch(this.#root, region, plan.network.rootMsMax);
    this.#isolates = REGIONS_OF_WORLD.flatMap((region) =>
      Array.from({ length: ISOLATES_A_REGION }, () => this.#region(region)),
    ).map((region, n) => new IsolateMachine(`isolate ${n}`, region, this.#timeOf(`isolate ${n}`)));
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
  }

  forgetColo(region: string): void {
    this.#tiers.forgetColo(region);
  }

  log(line: () => string): void {
    this.trace?.push(`${String(Math.round(this.scheduler.nowMs)).padStart(6)} ms  ${line()}`);
  }

  /** A client's read; returns what its session carries on. */
  async read(
    at: number,
    key: string,
    ask: { level?: ReadRecord['level']; token?: Token | undefined; session?: string | undefined },
  ): Promise<{ token: Token | undefined; epochIsOver: boolean }> {
    const isolate = this.#isolates[at] as IsolateMachine;
    const { life } = isolate;
    const begun = this.#moment();
    const consistency: Consistency = { level: ask.level, atLeast: ask.token };
    let answer: CachedAnswer;
    try {
      answer = await this.#answer(isolate, key, consistency);
    } catch (error) {
      this.unanswered += 1;
      this.log(() => `${isolate.name} fails to read ${key}: ${error}`);
      const code = error instanceof Failure ? error.code : '';
      return { token: ask.token, epochIsOver: code.startsWith('token_from') };
    }
    if (isolate.life !== life) return { token: ask.token, epochIsOver: false };
    const token = answer.token === undefined ? undefined : parseToken(answer.token);
    this.#record(isolate, key, ask, begun, answer);
    return { token: token ?? ask.token, epochIsOver: false };
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
          const answered = await this.#toRoot(isolate, () => this.#invalidate(tags), true);
          isolate.invalidated.note([outboxId], answered);
          for (const record of records) record.token = answered;
          return answered;
        },
        markRelayed: async ({ outboxId }, answered) =>
          await this.#toOrigin(isolate, () => this.origin.markRelayed([outboxId], answered)),
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
    this.log(() => `${who} ${commit.records.map(({ dep, version }) => `${dep} v${version}`).join(', ')}`);
    return commit;
  }

  #invalidate(tags: readonly string[]): Token {
    const token = this.#root.clock.invalidate(slotsOf(tags));
    this.log(() => `the root invalidates ${[...new Set(tags)].join(', ')}: ${formatToken(token)}`);
    return token;
  }

  async #answer(isolate: IsolateMachine, key: string, consistency: Consistency): Promise<CachedAnswer> {
    // As they are now: a restart gives the isolate others, and what is still under way goes on with its own.
    const { follower, invalidated, memory, refreshing, time, region } = isolate;
    const policy = this.#plan.policies[key];
    if (policy === undefined) throw new RangeError(`There is no view of ${key}.`);
    const parent = {
      sync: async (request: Parameters<RegionMachine['clock']['sync']>[0]) => {
        try {
          const answer = await this.#network.call(isolate, region, () => region.clock.sync(request));
          const { ageMs } = answer;
          this.log(() => `${isolate.name} learns ${formatToken(answer)}, ${Math.round(ageMs)} ms old`);
          return answer;
        } catch {
          return await this.#toRoot(isolate, () => this.#root.clock.sync(request));
        }
      },
    };
    return await readThrough(
      {
        view: key,
        key,
        policy,
        consistency,
        load: () => this.#load(isolate, key, { follower, invalidated }),
      },
      {
        follower,
        context: { parent, keepAlive },
        tiers: [memory, this.#tiers.colo(isolate), this.#tiers.kv(isolate)],
        time,
        gateOf: () => this.#gate(isolate, key),
        digest: async (text) => String(hashText(text)),
        random: () => this.#chance.draw(`${isolate.name} refreshes`),
        refreshing,
      },
    );
  }

  /** One round trip to the database: the data, and then what the outbox says of it. */
  async #load(
    isolate: IsolateMachine,
    key: string,
    { follower, invalidated }: Pick<IsolateMachine, 'follower' | 'invalidated'>,
  ): Promise<Loaded> {
    const { time } = isolate;
    const { epoch } = follower.mirror.clock;
    let report: OutboxReport | undefined;
    const load = async (): Promise<Loaded> =>
      await this.#toOrigin(isolate, async () => {
        await this.scheduler.sleep(this.origin.slowMs * this.#chance.draw('origin'));
        const data = key === LIST ? this.#list() : this.#item(Number(key.split('/')[1]));
        this.log(() => `${isolate.name} reads ${JSON.stringify(data.value)}`);
        await this.scheduler.sleep(Math.round(this.#chance.between('origin', 0, 3)));
        report = this.origin.report(epoch);
        return { ...data, storable: true };
      });
    return await loadAsOf(load, {
      epoch,
      // The database itself is this world's, so nothing is asked through drizzle's.
      reflection: { db: undefined as never, report: () => report, reportOn: never },
      invalidated,
      invalidate: (tags) => this.#toRoot(isolate, () => this.#invalidate(tags), true),
      withTimeout: time.withTimeout,
    });
  }

  #item(row: number): { value: Shown | null; tags: string[] } {
    const found = this.origin.rows[row];
    const tags = [rowTag(row)];
    if (found === undefined || found.absent) return { value: null, tags };
    return { value: { [rowTag(row)]: found.version }, tags };
  }

  #list(): { value: Shown; tags: string[] } {
    const present = this.origin.rows.flatMap(({ absent, version }, row) =>
      absent ? [] : [[rowTag(row), version] as const],
    );
    const value = { [COLLECTION]: this.origin.collectionVersion, ...Object.fromEntries(present) };
    return { value, tags: [COLLECTION, ...present.map(([tag]) => tag)] };
  }

  #record(
    isolate: IsolateMachine,
    key: string,
    ask: { level?: ReadRecord['level']; token?: Token | undefined; session?: string | undefined },
    begun: ReadRecord['begun'],
    { entry, source, unverified, token }: CachedAnswer,
  ): void {
    const ended = this.#moment();
    if (source.hit) this.hits += 1;
    const policy = this.#plan.policies[key];
    if (policy === undefined) throw new RangeError(`There is no view of ${key}.`);
    const fromOrigin = !source.hit && unverified !== 'origin-unavailable';
    const shown = JSON.parse(entry.body) as Shown | null;
    const marked =
      (source.hit && source.stale && ask.level === 'eventual') || (!fromOrigin && unverified !== undefined);
    const how = source.hit ? `${source.tier}${source.stale ? ', stale' : ''}` : source.forward;
    this.log(
      () =>
        `${isolate.name} answers ${key} (${ask.session ?? ask.level ?? 'bounded'}) with ${entry.body} of stamp ${entry.epoch}.${entry.stamp} from ${how}${marked ? `, marked ${unverified ?? 'stale'}` : ''}`,
    );
    const deps =
      shown === null ? [[rowTag(Number(key.split('/')[1])), 'absent'] as const] : Object.entries(shown);
    for (const [dep, version] of deps) {
      this.reads.push({
        dep,
        level: ask.level ?? policy.level,
        token: ask.token,
        // Without a token the session is promised nothing beyond what it had.
        session: token === undefined ? undefined : ask.session,
        begun,
        ended,
        shown: version,
        marked,
        boundMs: policy.boundMs + CLOCK_SLACK_MS,
        sourceBoundMs: policy.sourceBoundMs + CLOCK_SLACK_MS,
        note: `${isolate.name}, ${key}, ${how}`,
      });
    }
  }

  #relayPorts(): RelayPorts {
    const relay = this.#relay;
    const { life } = relay;
    const alive = async <T>(work: () => Promise<T>): Promise<T> =>
      relay.life === life ? await work() : never();
    return {
      readPending: (limit) => alive(() => this.#toOrigin(relay, () => this.origin.pending(limit))),
      invalidate: (tags) => alive(() => this.#toRoot(relay, () => this.#invalidate(tags), true)),
      publish: () => alive(() => this.scheduler.sleep(5)),
      markRelayed: (ids, at) => alive(() => this.#toOrigin(relay, () => this.origin.markRelayed(ids, at))),
    };
  }

  async #toRoot<T>(from: Machine, work: () => Promise<T> | T, mayDouble = false): Promise<T> {
    return await this.#network.call(from, this.#root, work, mayDouble);
  }

  async #toOrigin<T>(from: Machine, work: () => Promise<T> | T): Promise<T> {
    try {
      return await this.#network.call(from, this.origin, () => {
        if (this.origin.down) throw new Error('The database is down.');
        return work();
      });
    } catch (error) {
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

/** What clocks that drift apart by 200 parts in a million make of the longest bound, and a millisecond of rounding. */
const CLOCK_SLACK_MS = 4;
