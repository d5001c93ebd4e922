import type { Hono } from 'hono';
import { type Clock, invalidate, newClock } from '../../../src/cache/clock/clock.ts';
import { encodeDelta } from '../../../src/cache/clock/delta.ts';
import { ClockFollower } from '../../../src/cache/clock/follower.ts';
import { tagHashes } from '../../../src/cache/clock/tag-hash.ts';
import { GatePool, gateIn } from '../../../src/cache/gate-pool.ts';
import { type ReadRequest, type ReadThroughPorts, readThrough } from '../../../src/cache/read-through.ts';
import { RecentFills } from '../../../src/cache/single-flight.ts';
import { type ColoCache, ColoTier, coloOrigin } from '../../../src/cache/tiers/colo.ts';
import { deploymentOf } from '../../../src/cache/tiers/deployment.ts';
import { type KvStore, KvTier } from '../../../src/cache/tiers/kv.ts';
import { MemoryTier } from '../../../src/cache/tiers/memory.ts';
import type { Tier } from '../../../src/cache/tiers/tier.ts';
import { refillRead } from '../../../src/cache/warming/refill.ts';
import type { Catalog } from '../../../src/define/catalog.ts';
import type { Database, ViewDefinition, ViewRequest } from '../../../src/define/view.ts';
import { createApp } from '../../../src/gateway/app.ts';
import type { AppEnv } from '../../../src/gateway/context.ts';
import { cursorKey, signCursors } from '../../../src/gateway/cursors.ts';
import { Charging } from '../../../src/gateway/limits/charging.ts';
import type { ApiKey } from '../../../src/gateway/principals/api-key.ts';
import { TokenTable } from '../../../src/gateway/principals/token-table.ts';
import type { ViewPorts } from '../../../src/gateway/routes/views.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { catalogueOf } from './catalogue.ts';
import { BOOTSTRAP_SHA256, type Directory, TOKEN_RULES } from './readers.ts';

/** A deployment that shares a zone, and so a data centre's cache, with the others. */
interface Deployment {
  readonly catalog: Catalog;
  /** Its tag clock. */
  readonly root: Clock;
  /** The name that its entries have in shared caches. */
  readonly name: string;
}

export const DEPLOYMENTS = ['one', 'other', 'next'] as const;
export type DeploymentName = (typeof DEPLOYMENTS)[number];
/** Of each deployment, two. */
const ISOLATES = 2;
export type IsolateName = readonly [deployment: DeploymentName, index: number];
export const ISOLATE_NAMES: readonly IsolateName[] = DEPLOYMENTS.flatMap((deployment) =>
  Array.from({ length: ISOLATES }, (_, index) => [deployment, index] as const),
);

const CLOCK = { withTimeout };
/** The views of the catalogue make their answers without a database. */
const NO_DATABASE = undefined as unknown as Database;

/**
 * Isolates of three deployments over one data centre's cache, one KV namespace and the gates of each: `one` and `other`
 * have the same views and other data; `next` is a later release of `one` that limits rows by another claim. The gateway,
 * the tiers, the gates and the tables of credentials are the product's own.
 */
export class World {
  now = 1_800_000_000_000;
  isOriginAway = false;
  isClockAway = false;
  readonly #directory: Directory;
  readonly #deployments: Readonly<Record<DeploymentName, Deployment>>;
  readonly #colo = new Map<string, string>();
  readonly #kv = new Map<string, string>();
  readonly #isolates = new Map<string, Isolate>();
  readonly #pools: Readonly<Record<string, GatePool>>;
  readonly #work: Promise<unknown>[] = [];

  constructor(directory: Directory) {
    this.#directory = directory;
    const [roots, urls] = [
      { one: newClock('0e1'), other: newClock('0e2') },
      { one: 'postgres://u:p@db.test/one', other: 'postgres://u:p@db.test/other' },
    ];
    const made = (of: 'one' | 'other', claim: 'tenant' | 'team'): Deployment => ({
      catalog: catalogueOf(of, claim),
      root: roots[of],
      name: deploymentOf(urls[of], BOOTSTRAP_SHA256),
    });
    this.#deployments = {
      one: made('one', 'tenant'),
      other: made('other', 'tenant'),
      next: made('one', 'team'),
    };
    const pool = () => {
      let tickets = 0;
      return new GatePool({
        now: () => this.now,
        newTicketId: () => `t${++tickets}`,
        // Every filler of this world reports, so no lease has to expire.
        setTimer: () => () => undefined,
      });
    };
    const [one, other] = [pool(), pool()];
    this.#pools = { one, other, next: one };
  }

  async ask([deployment, index]: IsolateName, request: Request): Promise<Response> {
    const isolate = this.#isolateOf(deployment, index);
    return await isolate.fetch(request, isolate, {
      waitUntil: (work) => this.#work.push(work),
      passThroughOnException: () => undefined,
      props: {},
    });
  }

  /** Fills the answer to the isolate's last read ahead, as a warmer does. */
  async warm([deployment, index]: IsolateName): Promise<void> {
    await this.#isolateOf(deployment, index).warm();
  }

  invalidate(): void {
    for (const { root } of new Set(Object.values(this.#deployments)))
      invalidate(root, tagHashes(['isolation']));
  }

  /** Ends an isolate with its memory. */
  evict([deployment, index]: IsolateName): void {
    this.#isolates.delete(`${deployment} ${index}`);
  }

  /** Waits for what continues behind answers. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#work.splice(0));
  }

  #isolateOf(deployment: DeploymentName, index: number): Isolate {
    const name = `${deployment} ${index}`;
    const isolate = this.#isolates.get(name) ?? this.#start(deployment);
    this.#isolates.set(name, isolate);
    return isolate;
  }

  #start(of: DeploymentName): Isolate {
    const { catalog, name, root } = this.#deployments[of];
    const [pool] = [this.#pools[of]];
    const time = { now: () => this.now, ...CLOCK };
    const work = (promise: Promise<unknown>) => {
      this.#work.push(promise);
    };
    const ports: ReadThroughPorts = {
      follower: new ClockFollower(time),
      context: { keepAlive: work, parent: { sync: async (request) => this.#sync(root, request) } },
      tiers: this.#tiers(name),
      time,
      gateOf: (key) => (pool === undefined ? undefined : gateIn(pool, key)),
      digest: sha256Hex,
      pingOrigin: async () => this.#origin(),
      random: () => 0.5,
      refreshing: new Map(),
      recentFills: new RecentFills(),
    };
    return new Isolate(catalog, this.#directory, ports, () => this.#origin(), name);
  }

  #sync(root: Clock, { epoch, sinceSeq }: { readonly epoch: string; readonly sinceSeq: number }) {
    if (this.isClockAway) throw new Error('The clock is away.');
    const delta = encodeDelta(root, epoch === root.epoch ? sinceSeq : 0);
    return { ...delta, ageMs: 0, sources: { outbox: 0 }, askAgainMs: 1_000 };
  }

  #origin(): void {
    if (this.isOriginAway) throw new Failure('database_unavailable', 'away', { retryAfterS: 1 });
  }

  /** The shared tiers as an isolate of a deployment sees them; every value passes through text. */
  #tiers(deployment: string): Tier[] {
    const cache: ColoCache = {
      match: async (url) => {
        const text = this.#colo.get(url);
        return text === undefined ? undefined : new Response(text);
      },
      put: async (url, response) => {
        this.#colo.set(url, await response.text());
      },
    };
    const kv: KvStore = {
      get: async (key) => {
        const text = this.#kv.get(key);
        return text === undefined ? null : new TextEncoder().encode(text).buffer;
      },
      put: async (key, text) => {
        this.#kv.set(key, text);
      },
    };
    return [
      new MemoryTier(10_000_000),
      new ColoTier(cache, 3_600, coloOrigin(deployment)),
      new KvTier(kv, 3_600, deployment),
    ];
  }
}

/** One isolate: the gateway over its own memory. */
class Isolate implements ViewPorts {
  readonly apiKeySha256 = BOOTSTRAP_SHA256;
  readonly acceptsTokens = true;
  readonly cursorKey: Uint8Array;
  readonly charging: Charging;
  readonly fetch: Hono<AppEnv>['fetch'];
  readonly #catalog: Catalog;
  readonly #directory: Directory;
  readonly #tokens: TokenTable;
  readonly #ports: ReadThroughPorts;
  readonly #reachOrigin: () => void;
  #last: ReadRequest | undefined;

  constructor(
    catalog: Catalog,
    directory: Directory,
    ports: ReadThroughPorts,
    reachOrigin: () => void,
    deployment: string,
  ) {
    this.cursorKey = cursorKey({ deployment, apiKeySha256: BOOTSTRAP_SHA256 });
    this.#catalog = catalog;
    this.#directory = directory;
    this.#ports = ports;
    this.#reachOrigin = reachOrigin;
    this.#tokens = new TokenTable(TOKEN_RULES, ports.time);
    const noLimits = async () => {
      throw new Error('Limits are off.');
    };
    this.charging = new Charging(catalog.limits, ports.time, noLimits, () => undefined, false);
    this.fetch = createApp({
      catalog,
      viewsOf: () => this,
      countRequest: () => undefined,
      portsOf: () => {
        throw new Failure('not_found', 'This world has views alone.');
      },
    }).fetch;
  }

  peekKey(id: string): ApiKey | null {
    return this.#directory.keys.get(id) ?? null;
  }

  async findKey(id: string): Promise<ApiKey | null> {
    return this.peekKey(id);
  }

  peekToken(hash: string) {
    return this.#tokens.peek(hash);
  }

  async verifyToken(text: string, hash: string) {
    return await this.#tokens.verify(text, hash, {
      fetchKeys: async () => this.#directory.issuerKeys,
      keepAlive: () => undefined,
    });
  }

  holderOfTicket() {
    return undefined;
  }

  noteUse(): void {}

  noteDeprecated(): void {}

  read(request: ReadRequest) {
    this.#last = request;
    return readThrough(request, this.#ports);
  }

  async load(view: ViewDefinition, request: ViewRequest, now: number) {
    // A read takes a turn of the event loop, so that concurrent requests overlap.
    await new Promise((resolve) => setImmediate(resolve));
    this.#reachOrigin();
    const loaded = await view.load(NO_DATABASE, { ...request, now, features: {} });
    return signCursors(this.cursorKey, view, request, loaded);
  }

  async warm(): Promise<void> {
    const recipe = this.#last;
    const view = this.#catalog.views.find(({ name }) => name === recipe?.view);
    if (recipe === undefined || view === undefined) return;
    await Promise.resolve(
      readThrough(
        refillRead(view, recipe, (...asked) => this.load(...asked)),
        this.#ports,
      ),
    ).catch(() => undefined);
  }
}
