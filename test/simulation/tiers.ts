import type { Entry } from '../../src/cache/entry.ts';
import type { Tier } from '../../src/cache/tiers/tier.ts';
import { type IsolateMachine, LaggingStore } from './machines.ts';
import type { Chance } from './network.ts';
import type { Scheduler } from './scheduler.ts';

/** The tiers that isolates share: a cache in each region, and one store for all that shows a write late. */
export class SharedTiers {
  readonly #scheduler: Scheduler;
  readonly #chance: Chance;
  readonly #kvLagMsMax: number;
  readonly #colos = new Map<string, Map<string, Entry>>();
  readonly #kv = new LaggingStore();

  constructor(scheduler: Scheduler, chance: Chance, kvLagMsMax: number) {
    this.#scheduler = scheduler;
    this.#chance = chance;
    this.#kvLagMsMax = kvLagMsMax;
  }

  forgetColo(region: string): void {
    this.#colos.delete(region);
  }

  colo(isolate: IsolateMachine): Tier {
    const { name } = isolate.region;
    return {
      name: 'colo',
      get: async (key) => {
        await this.#takes(`${isolate.name} colo`, 0, 4);
        return this.#colos.get(name)?.get(key);
      },
      put: async (key, entry) => {
        await this.#takes(`${isolate.name} colo`, 0, 4);
        const colo = this.#colos.get(name) ?? new Map<string, Entry>();
        colo.set(key, entry);
        this.#colos.set(name, colo);
      },
    };
  }

  kv(isolate: IsolateMachine): Tier {
    const link = `${isolate.region.name} kv`;
    return {
      name: 'kv',
      get: async (key) => {
        await this.#takes(link, 1, 30);
        const lagMs = this.#chance.happens(link, 0.5) ? 0 : this.#chance.draw(link) * this.#kvLagMsMax;
        return this.#kv.get(key, this.#scheduler.nowMs - lagMs);
      },
      put: async (key, entry) => {
        await this.#takes(link, 1, 200);
        this.#kv.put(key, entry, this.#scheduler.nowMs);
      },
    };
  }

  async #takes(link: string, fromMs: number, toMs: number): Promise<void> {
    await this.#scheduler.sleep(Math.round(this.#chance.between(link, fromMs, toMs)));
  }
}
