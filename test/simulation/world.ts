import { loadAsOf } from '../../src/cache/as-of.ts';
import type { CachedAnswer } from '../../src/cache/cached-answer.ts';
import { formatToken, parseToken, type Token } from '../../src/cache/clock/clock.ts';
import type { ClockParent, SyncRequest } from '../../src/cache/clock/mirror.ts';
import { type Consistency, type ReadThroughPorts, readThrough } from '../../src/cache/read-through.ts';
import type { CachePolicy } from '../../src/define/cache-policy.ts';
import type { Loaded } from '../../src/define/view.ts';
import { announcedWrite } from '../../src/pipeline/announced-write.ts';
import { Failure } from '../../src/platform/failure.ts';
import { hashText } from '../../src/platform/random.ts';
import type { OutboxReport } from '../../src/storage/postgres/reflecting.ts';
import type { ReadRecord } from '../support/coherence/judge.ts';
import { FEATURES_POLICY, type Reading } from './customer-reads.ts';
import { Customers } from './customers.ts';
import { Defect, Deployment } from './deployment.ts';
import type { IsolateMachine } from './machines.ts';
import { never } from './network.ts';
import { CHAMPION_ROW, type Change, type Commit, rowTag, type Shown } from './origin.ts';
import {
  type Circumstances,
  DirectReads,
  judgeFailure,
  judgeStandIn,
  OpenReads,
  type Refusal,
} from './reach.ts';
import { answered, type RecordEvent } from './recording.ts';
import { type Ask, recordsOf } from './records.ts';
import { customerOf, isFeatures, isOfCustomer, isPredictionNow, keyOfRow, LIST, type Plan } from './steps.ts';

const keepAlive = () => undefined;

/** What clients of a deployment do and see, recorded as one who sees everything would. */
export class World {
  readonly reads: ReadRecord[] = [];
  readonly #plan: Plan;
  readonly deployment: Deployment;
  hits = 0;
  unanswered = 0;
  readonly refusals: Refusal[] = [];
  readonly openReads = new OpenReads();
  readonly #directReads = new DirectReads();
  readonly customers: Customers | undefined;

  constructor(plan: Plan, withTrace: boolean, record?: RecordEvent) {
    this.#plan = plan;
    this.deployment = new Deployment(plan, withTrace, record);
    this.customers = plan.hasCustomers ? new Customers(this.deployment, this.#reading()) : undefined;
  }

  [Symbol.dispose](): void {
    this.customers?.[Symbol.dispose]();
  }

  boundMs(key: string): number {
    return this.#policyOf(key).boundMs;
  }

  /** A client's read; returns what its session carries on. */
  async read(at: number, key: string, ask: Ask): Promise<{ token: Token | undefined; epochIsOver: boolean }> {
    const isolate = this.deployment.isolates[at] as IsolateMachine;
    const { life } = isolate;
    const begun = this.deployment.moment();
    const consistency: Consistency = { level: ask.level, atLeast: ask.token };
    const read = this.deployment.recorder.nextId();
    this.deployment.recorder.note(() => {
      const level = ask.level ?? this.#plan.policies[key]?.level ?? 'bounded';
      return { do: 'begin', read, isolate: isolate.name, key, level, token: ask.token };
    });
    const what = `${isolate.name}, ${key}, ${ask.session ?? ask.level ?? 'bounded'}`;
    const seen = this.#watch(isolate, key, begun, ask.token);
    this.openReads.begin(begun, what, () => isolate.life !== life);
    let answer: CachedAnswer;
    try {
      answer = await this.#answer(isolate, key, consistency, read);
    } catch (error) {
      this.deployment.recorder.note(() => ({ do: 'fail', read }));
      this.unanswered += 1;
      this.refusals.push(
        ...this.openReads.end(begun, what, this.deployment.scheduler.nowMs),
        ...(isolate.life === life ? judgeFailure(what, error, seen()) : []),
      );
      this.deployment.log(() => `${isolate.name} fails to read ${key}: ${error}`);
      const code = error instanceof Failure ? error.code : '';
      return { token: ask.token, epochIsOver: code.startsWith('token_from') };
    }
    this.refusals.push(...this.openReads.end(begun, what, this.deployment.scheduler.nowMs));
    if (isolate.life !== life) return { token: ask.token, epochIsOver: false };
    if (answer.unverified === 'origin-unavailable') this.refusals.push(...judgeStandIn(what, seen()));
    const token = answer.token === undefined ? undefined : parseToken(answer.token);
    this.deployment.recorder.note(() => answered(read, answer, token));
    this.#record(isolate, key, ask, begun, answer);
    return { token: token ?? ask.token, epochIsOver: false };
  }

  /** What is true of a read until it ends. */
  #watch(
    isolate: IsolateMachine,
    key: string,
    begun: ReadRecord['begun'],
    token: Token | undefined,
  ): () => Circumstances {
    const epoch = this.deployment.root.epoch;
    const since = begun.ms;
    const shard = isOfCustomer(key) ? this.customers?.shardOf(customerOf(key)) : undefined;
    const shardLife = shard?.life;
    return () => {
      const isDatabaseInReach =
        this.deployment.network.isSoundSince(isolate, this.deployment.origin, since) &&
        this.deployment.origin.lastDownMs < since;
      return {
        begun,
        endedMs: this.deployment.scheduler.nowMs,
        token,
        epochs: [epoch, this.deployment.root.epoch],
        isDatabaseInReach,
        isDatabasePrompt:
          isDatabaseInReach && this.deployment.network.isPromptSince(isolate, this.deployment.origin, since),
        hasDefect: this.deployment.origin.lastDefectMs >= since,
        isShardInReach:
          shard === undefined ||
          (shard.life === shardLife &&
            this.deployment.network.isSoundSince(isolate, shard, since) &&
            this.deployment.network.isPromptSince(isolate, shard, since)),
      };
    };
  }

  /** A client's write through an isolate, acknowledged once it is invalidated. */
  async write(at: number, changes: readonly Change[]): Promise<Token | undefined> {
    const isolate = this.deployment.isolates[at] as IsolateMachine;
    try {
      const { written, token } = await announcedWrite({
        arm: async () =>
          await this.deployment.network.call(isolate, this.deployment.relay, () =>
            this.deployment.relay.arm(),
          ),
        commit: async () =>
          await this.deployment.toOrigin(isolate, () =>
            this.deployment.commit(`${isolate.name} commits`, changes),
          ),
        invalidate: async ({ tags, records, outboxId }: Commit) => {
          const answered = await this.deployment.invalidateFrom(isolate, tags);
          isolate.invalidated.note([outboxId], answered);
          for (const record of records) record.token = answered;
          return answered;
        },
        markRelayed: async ({ outboxId }, answered) =>
          await this.deployment.toOrigin(isolate, () => this.deployment.mark([outboxId], answered)),
        keepAlive,
      });
      const acknowledged = this.deployment.moment();
      for (const record of written.records) record.acknowledged = acknowledged;
      this.deployment.log(
        () => `${isolate.name} acknowledges ${written.tags.join(', ')} with ${formatToken(token)}`,
      );
      return token;
    } catch (error) {
      this.deployment.log(() => `${isolate.name} has no answer to its write: ${error}`);
      return undefined;
    }
  }

  /** A customer's purchase through an isolate, sent again if there is no answer, at most this often in all. */
  async buy(at: number, customer: string, attempts = 3): Promise<Token | undefined> {
    const { customers } = this;
    const isolate = this.deployment.isolates[at];
    if (customers === undefined || isolate === undefined) return undefined;
    const event = customers.newPurchase(customer);
    for (let attempt = 1; ; attempt += 1) {
      const token = await customers.buy(isolate, event);
      if (token !== undefined || attempt === attempts) return token;
      await this.deployment.scheduler.sleep(Math.round(this.deployment.chance.between('buyer', 1, 1_000)));
    }
  }

  foreignWrite(changes: readonly Change[]): void {
    this.deployment.commit('another application commits', changes);
  }

  /** What the reads of customers do through this world. */
  #reading(): Reading {
    return {
      contextOf: (isolate) => this.#contextOf(isolate),
      through: (isolate, request) => {
        const fill = { isBegun: false, hasGate: false, begunMs: 0 };
        return readThrough(request, this.#readPorts(isolate, this.deployment.recorder.nextId(), fill, false));
      },
      loadChampion: (isolate, load) => {
        const { follower, invalidated, ended } = isolate;
        const made = ({ value }: Loaded) => load((value as Shown)[rowTag(CHAMPION_ROW)] ?? 0);
        return this.#load(
          isolate,
          keyOfRow(CHAMPION_ROW),
          { follower, invalidated, ended, read: this.deployment.recorder.nextId() },
          made,
        );
      },
    };
  }

  async #answer(
    isolate: IsolateMachine,
    key: string,
    consistency: Consistency,
    read: number,
  ): Promise<CachedAnswer> {
    // As they are now: a restart gives the isolate others, and what is still under way goes on with its own.
    const { follower, invalidated, ended } = isolate;
    const filler = { name: isolate.name, life: isolate.life };
    const fill = { isBegun: false, hasGate: false, begunMs: 0 };
    const policy = this.#policyOf(key);
    const { customers } = this;
    if (customers !== undefined && isFeatures(key))
      return await customers.reads.features(isolate, key, consistency);
    if (customers !== undefined && isPredictionNow(key))
      return await customers.reads.predictionNow(isolate, key, consistency);
    const load = async () => {
      if (fill.isBegun && !fill.hasGate)
        this.refusals.push(...this.#directReads.note(filler, key, fill.begunMs));
      return customers !== undefined && isOfCustomer(key)
        ? await customers.reads.predict(isolate, key, consistency)
        : await this.#load(isolate, key, { follower, invalidated, ended, read });
    };
    return await readThrough(
      { view: key, key, policy, consistency, load },
      this.#readPorts(isolate, read, fill, policy.singleFlight),
    );
  }

  #policyOf(key: string): CachePolicy {
    const isUncached = isFeatures(key) || isPredictionNow(key);
    const policy = isUncached ? FEATURES_POLICY : this.#plan.policies[key];
    if (policy === undefined) throw new RangeError(`There is no view of ${key}.`);
    return policy;
  }

  #contextOf(isolate: IsolateMachine): ReadThroughPorts['context'] {
    const { region, regionHedge } = isolate;
    const sync = async (request: SyncRequest) => {
      const sent = this.deployment.recorder.sends(isolate.name, request);
      const asks = (by: 'region' | 'root', clock: ClockParent) => () =>
        this.deployment.recorder.answersOf(by, sent, clock, request);
      const regional = async () => {
        const answer = await this.deployment.network.call(isolate, region, asks('region', region.clock));
        this.deployment.log(() => {
          const ageMs = Math.round(answer.ageMs);
          return `${isolate.name} learns ${formatToken(answer)}, ${ageMs} ms old`;
        });
        return answer;
      };
      const root = () => this.deployment.toRoot(isolate, asks('root', this.deployment.root.clock));
      const answer = this.#plan.hedgesRegions
        ? await regionHedge.sync(region.name, regional, root, () => undefined)
        : await regional().catch(root);
      this.deployment.recorder.arrives(sent, answer);
      return answer;
    };
    return { parent: { sync }, keepAlive };
  }

  /** @param fill notes what becomes of the read, for the rules of single flight. */
  #readPorts(
    isolate: IsolateMachine,
    read: number,
    fill: { isBegun: boolean; hasGate: boolean; begunMs: number },
    isSingle: boolean,
  ): ReadThroughPorts {
    const { follower, memory, refreshing, recentFills, time } = isolate;
    const { deployment } = this;
    return {
      follower,
      context: this.#contextOf(isolate),
      tiers: [memory, deployment.tiers.colo(isolate), deployment.tiers.kv(isolate)].map((tier) =>
        deployment.recorder.lookedInto(tier, read),
      ),
      time,
      gateOf: (key) => {
        fill.hasGate = true;
        return deployment.gate(isolate, key);
      },
      recentFills: {
        begin: (filled, nowMs) => {
          fill.isBegun = isSingle;
          fill.begunMs = nowMs;
          deployment.recorder.note(() => ({ do: 'miss', read }));
          return recentFills.begin(filled, nowMs);
        },
      },
      digest: async (text) => String(hashText(text)),
      pingOrigin: () => deployment.toOrigin(isolate, () => undefined),
      random: () => deployment.chance.draw(`${isolate.name} refreshes`),
      refreshing,
    };
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
    made: (data: Loaded) => Promise<Loaded> = async (data) => data,
  ): Promise<Loaded> {
    const { time } = isolate;
    const { epoch, seq } = follower.mirror.clock;
    this.deployment.recorder.note(() => ({ do: 'stamp', read, at: { epoch, seq } }));
    let report: OutboxReport | undefined;
    const load = async (): Promise<Loaded> =>
      await this.deployment.toOrigin(isolate, async () => {
        await this.deployment.scheduler.sleep(
          this.deployment.origin.slowMs * this.deployment.chance.draw('origin'),
        );
        const data =
          key === LIST
            ? this.deployment.origin.list()
            : this.deployment.origin.item(Number(key.split('/')[1]));
        this.deployment.recorder.note(() => ({ do: 'data', read }));
        if (this.deployment.origin.defect) {
          this.deployment.origin.lastDefectMs = this.deployment.scheduler.nowMs;
          throw new Defect('A query has a defect.');
        }
        this.deployment.log(() => `${isolate.name} reads ${JSON.stringify(data.value)}`);
        await this.deployment.scheduler.sleep(Math.round(this.deployment.chance.between('origin', 0, 3)));
        report = this.deployment.origin.report(epoch);
        this.deployment.recorder.note(() => ({ do: 'report', read }));
        return await made({ ...data, storable: true });
      });
    const loaded = await loadAsOf(load, {
      epoch,
      // The database itself is this world's, so nothing is asked through drizzle's.
      reflection: { db: undefined as never, report: () => report, reportOn: never },
      invalidated,
      ended,
      currentEpoch: () => this.deployment.toRoot(isolate, () => this.deployment.root.epoch),
      invalidate: (tags) => this.deployment.invalidateFrom(isolate, tags),
      withTimeout: time.withTimeout,
    });
    const { asOf, storable } = loaded;
    this.deployment.recorder.note(() => ({
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
    const at = { begun, ended: this.deployment.moment() };
    if (answer.source.hit) this.hits += 1;
    // Nothing bounds a fold that nobody has announced.
    const policy = isOfCustomer(key)
      ? { ...this.#policyOf(key), sourceBoundMs: Number.POSITIVE_INFINITY }
      : this.#policyOf(key);
    const tokenOut = answer.token === undefined ? undefined : parseToken(answer.token);
    const { line, records } = recordsOf(isolate.name, key, ask, at, answer, policy, tokenOut);
    this.deployment.log(() => line);
    this.reads.push(...records);
  }
}
