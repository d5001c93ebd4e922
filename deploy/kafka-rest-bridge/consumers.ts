import type { Backend } from './backend.ts';
import { ConsumerInstance } from './consumer-instance.ts';
import { RequestError } from './errors.ts';
import { INSTANCES_MAX } from './limits.ts';
import type { ConsumerName, ConsumerSettings } from './protocol.ts';

/** The instances of this bridge, by group and name. */
export class Consumers {
  readonly #backend: Backend;
  readonly #report: (line: string) => void;
  readonly #instances = new Map<string, ConsumerInstance>();
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(backend: Backend, report: (line: string) => void) {
    this.#backend = backend;
    this.#report = report;
  }

  /** The instance of that name. Its first consume opens it, and a consume with other topics opens it again. */
  async open(
    name: ConsumerName,
    topics: readonly string[],
    settings: ConsumerSettings,
  ): Promise<ConsumerInstance> {
    const key = instanceKey(name);
    const wanted = [...topics].sort().join(' ');
    for (;;) {
      await this.#leaving.get(key);
      const existing = this.#instances.get(key);
      if (existing === undefined) break;
      if ([...existing.topics].sort().join(' ') === wanted) return existing;
      await this.remove(name);
    }
    for (const topic of topics) await this.#backend.ensureTopic(topic);
    const opened = this.#instances.get(key);
    if (opened !== undefined) return opened;
    if (this.#instances.size >= INSTANCES_MAX) {
      throw new RequestError(429, `This bridge has ${INSTANCES_MAX} consumer instances, which is its limit.`);
    }
    const instance = new ConsumerInstance({
      name,
      topics,
      settings,
      backend: this.#backend,
      report: this.#report,
      onIdle: () => void this.remove(name),
    });
    this.#instances.set(key, instance);
    return instance;
  }

  find(name: ConsumerName): ConsumerInstance | undefined {
    return this.#instances.get(instanceKey(name));
  }

  /** Closes the instance; does nothing if there is none. */
  async remove(name: ConsumerName): Promise<void> {
    const key = instanceKey(name);
    const instance = this.#instances.get(key);
    if (instance === undefined) return await this.#leaving.get(key);
    this.#instances.delete(key);
    const leaving = instance
      .close()
      .catch((error: unknown) =>
        this.#report(`${name.group}/${name.instance}: leaving failed: ${String(error)}`),
      )
      .finally(() => this.#leaving.delete(key));
    this.#leaving.set(key, leaving);
    await leaving;
  }

  list(): readonly ConsumerInstance[] {
    return [...this.#instances.values()];
  }

  async close(): Promise<void> {
    await Promise.all(this.list().map(({ name }) => this.remove(name)));
    await Promise.all(this.#leaving.values());
  }
}

function instanceKey({ group, instance }: ConsumerName): string {
  return `${group}\n${instance}`;
}
