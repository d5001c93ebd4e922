import { formatToken, type Token } from '../../src/cache/clock/clock.ts';
import { OUTBOX } from '../../src/cache/clock/sources.ts';
import { hashesToInvalidate } from '../../src/cache/entry.ts';
import type { FillGatePort } from '../../src/cache/fill-gate.ts';
import type { RelayPorts } from '../../src/pipeline/relay.ts';
import { Failure } from '../../src/platform/failure.ts';
import type { PendingChange } from '../../src/storage/postgres/outbox.ts';
import type { ReadRecord } from '../support/coherence/judge.ts';
import { GateMachine, IsolateMachine, RegionMachine, RelayMachine, RootMachine } from './machines.ts';
import { Chance, type Machine, Network, never } from './network.ts';
import { type Change, type Commit, Origin } from './origin.ts';
import { Recorder } from './recorder.ts';
import { committed, momentOf, type RecordEvent } from './recording.ts';
import { Scheduler } from './scheduler.ts';
import { CUSTOMER_KEYS, ISOLATES_A_REGION, KEYS, type Plan, REGIONS_OF_WORLD, ROWS } from './steps.ts';
import { SharedTiers } from './tiers.ts';

/** As the driver has it (`src/storage/postgres/connect.ts`), in milliseconds. */
const STATEMENT_MS_MAX = 10_000;

export class Defect extends Error {}

/** Regions, isolates, tiers, a database and a relay, made of the real rules and of machines that fail; and the calls between them. */
export class Deployment {
  readonly scheduler = new Scheduler();
  readonly origin = new Origin(ROWS);
  readonly trace: string[] | undefined;
  readonly chance: Chance;
  readonly network: Network;
  readonly root: RootMachine;
  readonly relay: RelayMachine;
  readonly regions: ReadonlyMap<string, RegionMachine>;
  readonly isolates: readonly IsolateMachine[];
  readonly gates: ReadonlyMap<string, GateMachine>;
  readonly tiers: SharedTiers;
  readonly recorder: Recorder;
  /** Receives what the relay publishes. */
  published: (changes: readonly PendingChange[]) => void = () => undefined;
  readonly #others: Machine[] = [];
  #order = 0;

  constructor(plan: Plan, withTrace: boolean, record?: RecordEvent) {
    this.recorder = new Recorder(record, () => this.scheduler.nowMs);
    this.trace = withTrace ? [] : undefined;
    const { scheduler } = this;
    const everyRow = Array.from({ length: ROWS }, (_, row): Change => ({ row, kind: 'update' }));
    const first = this.origin.commit(everyRow, this.moment());
    this.recorder.note(() => committed(first));
    this.chance = new Chance(plan.seed, scheduler);
    this.network = new Network(scheduler, this.chance, plan.network);
    this.tiers = new SharedTiers(scheduler, this.chance, plan.kvLagMsMax);
    this.root = new RootMachine(
      {
        time: this.#timeOf('root'),
        push: async (region, pushed) => {
          const to = this.#region(region);
          const push = this.recorder.nextId();
          this.recorder.note(() => ({
            do: 'push',
            push,
            to: region,
            since: pushed.sinceSeq,
            at: momentOf(pushed),
          }));
          const receive = () => {
            this.recorder.note(() => ({ do: 'pushed', push }));
            this.log(() => `${region} is pushed ${formatToken(pushed)}, from ${pushed.sinceSeq}`);
            to.clock.receive(pushed);
          };
          if (this.chance.happens('push', plan.network.pushLoss)) throw new Error('The push was lost.');
          await this.network.call(this.root, to, receive, true);
        },
        heartbeat: async () =>
          await this.network.call(this.root, this.relay, () => this.relay.sweeper.heartbeat()),
      },
      plan.memory,
    );
    this.relay = new RelayMachine(
      {
        relay: () => this.#relayPorts(),
        isRefused: () => false,
        openPass: async () => {
          const { life } = this.relay;
          const id = this.recorder.nextId();
          const pass = await this.toRoot(this.relay, () => {
            this.recorder.note(() => ({ do: 'open', pass: id }));
            return this.root.clock.openPass(OUTBOX);
          });
          return async () => {
            if (this.relay.life !== life) await never();
            await this.toRoot(this.relay, () => {
              this.recorder.note(() => ({ do: 'close', pass: id }));
              this.root.clock.closePass(pass);
            });
          };
        },
      },
      scheduler,
    );
    this.regions = new Map(
      REGIONS_OF_WORLD.map((name) => {
        const region: RegionMachine = new RegionMachine(
          name,
          {
            sync: async (request) => {
              const from = this.#region(name);
              const sync = this.recorder.sends(name, request);
              const answer = await this.toRoot(from, () =>
                this.recorder.answersOf('root', sync, this.root.clock, request),
              );
              this.recorder.arrives(sync, answer);
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
    for (const region of this.regions.values())
      this.network.stretch(this.root, region, plan.network.rootMsMax);
    this.isolates = REGIONS_OF_WORLD.flatMap((region) =>
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
    this.gates = new Map(
      [...KEYS, ...(plan.hasCustomers ? CUSTOMER_KEYS : [])].map((key) => [
        key,
        new GateMachine(key, this.#timeOf(`gate of ${key}`), scheduler),
      ]),
    );
  }

  /** Adds machines that can be named. */
  join(machines: readonly Machine[]): void {
    this.#others.push(...machines);
  }

  machine(name: string): Machine {
    const { root, relay, origin, regions, isolates, gates } = this;
    const all = [root, relay, origin, ...regions.values(), ...isolates, ...gates.values(), ...this.#others];
    const machine = all.find((candidate) => candidate.name === name);
    if (machine === undefined) throw new RangeError(`There is no ${name}.`);
    return machine;
  }

  resetRoot(): void {
    this.root.reset();
    this.recorder.note(() => ({ do: 'reset' }));
  }

  restart(name: string): void {
    this.machine(name).restart();
    this.recorder.note(() => ({ do: 'restart', machine: name }));
  }

  log(line: () => string): void {
    this.trace?.push(`${String(Math.round(this.scheduler.nowMs)).padStart(6)} ms  ${line()}`);
  }

  commit(who: string, changes: readonly Change[]): Commit {
    const commit = this.origin.commit(changes, this.moment());
    this.recorder.note(() => committed(commit));
    this.log(() => `${who} ${commit.records.map(({ dep, version }) => `${dep} v${version}`).join(', ')}`);
    return commit;
  }

  invalidate(tags: readonly string[]): Token {
    const token = this.root.clock.invalidate(hashesToInvalidate(tags));
    this.recorder.note(() => ({ do: 'invalidate', tags: [...new Set(tags)], at: token }));
    this.log(() => `the root invalidates ${[...new Set(tags)].join(', ')}: ${formatToken(token)}`);
    return token;
  }

  mark(ids: readonly number[], at: Token): void {
    this.origin.markRelayed(ids, at);
    this.recorder.note(() => ({ do: 'mark', commits: ids, at }));
  }

  async invalidateFrom(isolate: IsolateMachine, tags: readonly string[]): Promise<Token> {
    try {
      return await this.toRoot(isolate, () => this.invalidate(tags), true);
    } catch (cause) {
      throw new Failure('clock_unavailable', 'The tag clock does not answer.', { cause });
    }
  }

  async toRoot<T>(from: Machine, work: () => Promise<T> | T, mayDouble = false): Promise<T> {
    return await this.network.call(from, this.root, work, mayDouble);
  }

  async toOrigin<T>(from: Machine, work: () => Promise<T> | T): Promise<T> {
    try {
      const call = this.network.call(from, this.origin, () => {
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

  gate(isolate: IsolateMachine, key: string): FillGatePort | undefined {
    const gate = this.gates.get(key);
    if (gate === undefined) return undefined;
    const call = <T>(work: () => Promise<T>) => this.network.call(isolate, gate, work);
    return {
      enter: (need, leaseMs) => call(() => gate.host.enter(need, leaseMs)),
      ping: () => call(async () => undefined),
      complete: (ticketId, entry) => call(() => gate.host.complete(ticketId, entry)),
      fail: (ticketId) => call(() => gate.host.fail(ticketId)),
      disband: (ticketId) => call(() => gate.host.disband(ticketId)),
    };
  }

  #relayPorts(): RelayPorts {
    const relay = this.relay;
    const { life } = relay;
    const alive = async <T>(work: () => Promise<T>): Promise<T> =>
      relay.life === life ? await work() : never();
    return {
      readPending: ({ limit, upTo }) =>
        alive(() =>
          this.toOrigin(relay, () => {
            this.recorder.note(() => ({ do: 'sweep' }));
            return this.origin.pending(limit, upTo);
          }),
        ),
      invalidate: (tags) => alive(() => this.toRoot(relay, () => this.invalidate(tags), true)),
      publish: (changes) =>
        alive(async () => {
          await this.scheduler.sleep(5);
          this.published(changes);
        }),
      markRelayed: (ids, at) => alive(() => this.toOrigin(relay, () => this.mark(ids, at))),
    };
  }

  #region(name: string): RegionMachine {
    return this.regions.get(name) as RegionMachine;
  }

  /** Every machine's clock is off by up to an hour, and drifts by up to a hundred parts in a million. */
  #timeOf(name: string) {
    const offsetMs = Math.round(this.chance.between(`${name} offset`, -3_600_000, 3_600_000)) + 1e9;
    return this.scheduler.timeOf(offsetMs, this.chance.between(`${name} drift`, -1e-4, 1e-4));
  }

  moment(): ReadRecord['begun'] {
    this.#order += 1;
    return { ms: this.scheduler.nowMs, order: this.#order };
  }
}
