/** One run of the learning loop, end to end in the built worker, without a human step after its set-up. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Manifest } from '../../../../src/inference/bundle.ts';
import { type Stack, startStack } from '../../../../test/support/node/stack.ts';
import { catalog } from './catalog.ts';
import { type Read, Shop } from './shop.ts';
import { sketchedBundle } from './sketched-model.ts';
import { World } from './world.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const ADMIN = '/v1/admin/models/ranker';
/** The history of the old season when the shop opens, and how long a snapshot takes until it has it. */
const HISTORY_MS = 180_000;
const SETTLED_MS = 75_000;
/** How long hit rates are measured before the season, after the new champion, and after the bad version is out. */
const STEADY_MS = 25_000;
/** The platform's cron calls each minute; here it is called as often as the shop's days are short. */
const CRON_EVERY_MS = 4_000;
/** After these times a step counts as failed. */
const LEARN_WITHIN_MS = 600_000;
const OUT_WITHIN_MS = 300_000;
const ATTEMPTS = 5;
const TELL_WAITING_MS = 10_000;

/** What happened, in milliseconds since the season began. */
export interface Happened {
  readonly atMs: number;
  readonly what: string;
}

export interface LearningRun {
  readonly seed: number;
  readonly happened: readonly Happened[];
  /** From the season to the drift, and from there to the new champion; undefined if it never came. */
  readonly driftMs: number | undefined;
  readonly championMs: number | undefined;
  /** From the push of the bad version to the end of its rollout, the answers that it gave, and the measure that ended it. */
  readonly badOutMs: number | undefined;
  readonly badAnswers: number;
  readonly badReason: string | undefined;
  /** Of the old season, of the new one before the new champion, after it, and with the bad version out. */
  readonly hitRates: Readonly<Record<'before' | 'shifted' | 'recovered' | 'after', number | undefined>>;
  readonly reads: readonly Read[];
  /** When the season began, in milliseconds since the Unix epoch. */
  readonly seasonAt: number;
  /** Failed requests by method, status and code. */
  readonly failures: ReadonlyMap<string, number>;
  readonly events: number;
}

export async function learningRun(seed: number, tell: (text: string) => void): Promise<LearningRun> {
  await using stack = await startStack(
    { FEEDBACK_SETTLE_MS: '1000', LIMITS: 'off' },
    {
      served: {
        ...{ catalog, main: 'examples/shop/test/worker/fast-clock.ts', cachedPath: '/v1/products/NONE' },
        migrationsDir: join(ROOT, 'examples/shop/migrations'),
      },
    },
  );
  const shop = new Shop(stack, new World(seed));
  const cron = setInterval(() => void stack.scheduled().catch(() => undefined), CRON_EVERY_MS);
  try {
    return await new Loop(stack, shop, seed, tell).run();
  } finally {
    clearInterval(cron);
    await shop.close();
  }
}

class Loop {
  readonly #stack: Stack;
  readonly #shop: Shop;
  readonly #seed: number;
  readonly #tell: (text: string) => void;
  readonly #happened: Happened[] = [];
  readonly #known = new Set<string>();
  #seasonAt = Date.now();
  #toldAt = 0;

  constructor(stack: Stack, shop: Shop, seed: number, tell: (text: string) => void) {
    this.#stack = stack;
    this.#shop = shop;
    this.#seed = seed;
    this.#tell = tell;
  }

  async run(): Promise<LearningRun> {
    await this.#setUp();
    await sleep(STEADY_MS);
    const old = await this.#champion();
    this.#seasonAt = Date.now();
    this.#shop.season = 'new';
    this.#note('A new season begins: customers buy other products.');
    const learned = await this.#learned(old);
    const championAt = Date.now();
    await sleep(STEADY_MS);
    const bad = await this.#bad();
    const outAt = Date.now();
    await sleep(STEADY_MS);
    const rate = (from: number, to: number) => this.#shop.hitRate(from, to);
    const season = this.#seasonAt;
    return {
      ...{ seed: this.#seed, happened: this.#happened, ...learned, ...bad, seasonAt: season },
      hitRates: {
        before: rate(season - STEADY_MS, season - STEADY_MS / 2),
        shifted: rate(season + 5_000, championAt - 20_000),
        recovered: rate(championAt + 3_000, championAt + STEADY_MS - 12_000),
        after: rate(outAt, outAt + STEADY_MS - 12_000),
      },
      ...{ reads: this.#shop.reads, failures: this.#shop.failures, events: this.#shop.events },
    };
  }

  /** The old season's history, a first version that is trained from it, and its promotion by hand: all before the season. */
  async #setUp(): Promise<void> {
    await this.#shop.history(HISTORY_MS);
    this.#shop.open();
    this.#tell('The shop is open; the first version is trained once a snapshot has its history.');
    await sleep(SETTLED_MS);
    const { json } = await this.#ask('POST', '/v1/training', { model: 'ranker' });
    const id = String(json['id']);
    for (;;) {
      const run = (await this.#ask('GET', `/v1/training/${id}`)).json;
      if (['refused', 'failed', 'cancelled'].includes(String(run['state'])))
        throw new Error(`The first training ended as ${run['state']}: ${JSON.stringify(run['failure'])}`);
      if (run['state'] === 'done') {
        const version = String(run['version']);
        await this.#ask('PUT', `${ADMIN}/aliases/champion`, { version });
        this.#known.add(id);
        this.#shop.recommend();
        this.#tell(`Version ${version} is the champion (${textOf(run)}).`);
        return;
      }
      await sleep(500);
    }
  }

  /** Waits until a version is champion that was trained from events of the season. */
  async #learned(first: string): Promise<Pick<LearningRun, 'driftMs' | 'championMs'>> {
    let driftMs: number | undefined;
    let old = first;
    while (Date.now() - this.#seasonAt < LEARN_WITHIN_MS) {
      driftMs ??= await this.#drift(old);
      await this.#runs();
      await this.#rollout();
      const champion = await this.#champion();
      if (champion !== old) {
        this.#note(`Version ${champion} is the champion.`);
        old = champion;
        if ((await this.#snapshotOf(champion)) <= this.#seasonAt) continue;
        const championMs = driftMs === undefined ? undefined : Date.now() - this.#seasonAt - driftMs;
        return { driftMs, championMs };
      }
      await sleep(500);
    }
    this.#note('No version took over in time.');
    return { driftMs, championMs: undefined };
  }

  /** The moment of the snapshot that a version was trained from, in milliseconds since the Unix epoch. */
  async #snapshotOf(version: string): Promise<number> {
    const { json } = await this.#ask('GET', `/v1/models/ranker/versions/${version}`);
    return Date.parse(String(Manifest.parse(json['manifest']).trainedFrom['asOf']));
  }

  async #drift(version: string): Promise<number | undefined> {
    const { json } = await this.#ask('GET', `${ADMIN}/drift`);
    const versions = json['versions'] as readonly {
      version: string;
      rows: number;
      drifts: { since: string; until: string | null; found: { column: string; windowRows: number } }[];
    }[];
    const drift = versions
      .find((of) => of.version === version)
      ?.drifts.filter(({ until }) => until === null || Date.parse(until) >= this.#seasonAt)
      .at(-1);
    if (drift === undefined) return undefined;
    const { since, found } = drift;
    const atMs = Date.parse(since) - this.#seasonAt;
    this.#note(`The rows have drifted: ${found.column}, within ${found.windowRows} rows.`, atMs);
    // One that was there before counts from the season on.
    return Math.max(0, atMs);
  }

  async #runs(): Promise<void> {
    const { json } = await this.#ask('GET', '/v1/training?model=ranker&limit=5');
    for (const run of (json['runs'] as Record<string, unknown>[]).toReversed()) {
      const id = String(run['id']);
      if (!this.#known.has(`${id} began`) && !this.#known.has(id)) {
        this.#known.add(`${id} began`);
        this.#note(
          `A training begins by itself (${run['reason']}).`,
          Date.parse(String(run['begunAt'])) - this.#seasonAt,
        );
      }
      if (run['endedAt'] === null || this.#known.has(id)) continue;
      this.#known.add(id);
      const detail = (await this.#ask('GET', `/v1/training/${id}`)).json;
      this.#note(
        `The training is over: ${textOf(detail)}.`,
        Date.parse(String(run['endedAt'])) - this.#seasonAt,
      );
    }
  }

  /** Notes the steps of rollouts that were not known. @returns the steps, the newest first. */
  async #rollout(): Promise<readonly RolloutStep[]> {
    const { json } = await this.#ask('GET', `${ADMIN}/rollout`);
    const steps = json['steps'] as readonly RolloutStep[];
    this.#tellWaiting(json['waitsFor']);
    for (const { id, stage, share, version, reason, at } of steps.toReversed()) {
      const known = `step ${id}`;
      if (this.#known.has(known)) continue;
      this.#known.add(known);
      this.#note(`Version ${version}: ${stage}, ${share} % (${reason}).`, Date.parse(at) - this.#seasonAt);
    }
    return steps;
  }

  /** Tells now and then what the present step of a rollout still has to see. */
  #tellWaiting(waitsFor: unknown): void {
    if (waitsFor === null || Date.now() - this.#toldAt < TELL_WAITING_MS) return;
    this.#toldAt = Date.now();
    this.#tell(`           the step waits for ${JSON.stringify(waitsFor)}`);
  }

  /**
   * Pushes a bad version, and waits until it is out. A rollout that is under way gives way to it at once, and so it is timed
   * from the push. Trainings go on meanwhile, and one that finds a better version names it as challenger in its place.
   */
  async #bad(): Promise<Pick<LearningRun, 'badOutMs' | 'badAnswers' | 'badReason'>> {
    const champion = await this.#champion();
    const { json } = await this.#ask('GET', `/v1/models/ranker/versions/${champion}`);
    const { candidates } = Manifest.parse(json['manifest']);
    if (candidates === undefined) throw new Error('The champion has no candidates.');
    const bundle = await sketchedBundle({ candidates, isBad: true, seed: this.#seed });
    const registered = await this.#ask('POST', `${ADMIN}/versions`, bundle);
    const version = String(registered.json['version']);
    const pushedAt = Date.now();
    this.#note(`A deliberately bad version ${version} is pushed as challenger.`);
    const answers = () => this.#shop.reads.filter((read) => read.version === version).length;
    while (Date.now() - pushedAt < OUT_WITHIN_MS) {
      const own = (await this.#rollout()).filter((step) => step.version === version);
      if (own.length === 0) await this.#challenge(version);
      const [last] = own;
      if (last?.stage === 'rolled_back') {
        const badOutMs = Date.parse(last.at) - pushedAt;
        await sleep(1_000);
        return { badOutMs, badAnswers: answers(), badReason: last.reason };
      }
      await sleep(500);
    }
    this.#note('The bad version was not rolled back in time.');
    return { badOutMs: undefined, badAnswers: answers(), badReason: undefined };
  }

  /** Lets the alias name a version, unless it does. */
  async #challenge(version: string): Promise<void> {
    const { json } = await this.#ask('GET', '/v1/models/ranker');
    const challenger: unknown = Reflect.get(Object(json['aliases']), 'challenger');
    if (Reflect.get(Object(challenger), 'version') === version) return;
    await this.#ask('PUT', `${ADMIN}/aliases/challenger`, { version });
  }

  async #champion(): Promise<string> {
    const { json } = await this.#ask('GET', '/v1/models/ranker');
    return String(Reflect.get(Object(Reflect.get(Object(json['aliases']), 'champion')), 'version'));
  }

  /** A call that a busy stack may refuse for a moment. */
  async #ask(method: string, path: string, json?: object) {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#stack.caller.ask(method, path, json === undefined ? {} : { json });
      if (answer.status < 400) return answer;
      if (answer.status !== 503 || attempt === ATTEMPTS)
        throw new Error(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 500)}`);
      await sleep(1_000);
    }
  }

  #note(what: string, atMs: number = Date.now() - this.#seasonAt): void {
    this.#happened.push({ atMs, what });
    this.#tell(`${(atMs / 1_000).toFixed(1).padStart(7)} s  ${what}`);
  }
}

interface RolloutStep {
  readonly id: number;
  readonly stage: string;
  readonly share: number;
  readonly version: string;
  readonly reason: string;
  readonly at: string;
}

/** What came of a training run. */
function textOf(run: Readonly<Record<string, unknown>>): string {
  if (run['state'] !== 'done') return `${run['state']}, ${JSON.stringify(run['failure'])}`;
  const evaluation = run['evaluation'] as {
    rows: number;
    model: Record<string, { value: number } | null>;
    champion: { figures: Record<string, { value: number } | null> | null } | null;
    ranking: { lists: Record<string, Record<string, { value: number } | null>> };
  };
  const ndcg = (figures: Record<string, { value: number } | null> | null | undefined) =>
    figures?.['ndcg_at_10']?.value.toFixed(3) ?? '–';
  const { model, champion, ranking, rows } = evaluation;
  const cost = run['cost'] as { busyMs: number };
  return `${run['version']} is ${run['verdict']}, NDCG@10 ${ndcg(model)} (champion ${ndcg(champion?.figures)}, popularity ${ndcg(ranking.lists['popularity'])}, repeats ${ndcg(ranking.lists['repeats'])}) on ${rows} queries, ${(cost.busyMs / 1_000).toFixed(1)} s of steps`;
}
