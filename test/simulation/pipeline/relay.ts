import { OutboxRelay } from '../../../durable-objects/outbox-relay/object.ts';
import { outboxRelayPorts, type RelayEnv } from '../../../src/composition/outbox-relay.ts';
import type { Lane } from '../../../src/storage/lane.ts';
import { catalog } from '../../support/catalog/index.ts';
import type { Machine, Process } from './machine.ts';

/** The relay's object on the simulated platform: its process, its alarm, and its calls as others make them. */
export class SimulatedRelay {
  readonly #machine: () => Machine;
  readonly #env: () => RelayEnv;
  #process: Process = { name: 'relay', alive: true };
  #relay: OutboxRelay | undefined;
  #alarmS: number | null = null;
  readonly #disk = new Map<string, unknown>();
  #isAlarmRunning = false;

  constructor(machine: () => Machine, env: () => RelayEnv) {
    this.#machine = machine;
    this.#env = env;
  }

  /** When the alarm fires, in seconds; infinite if none is set or one runs. */
  nextS(): number {
    return this.#isAlarmRunning ? Number.POSITIVE_INFINITY : (this.#alarmS ?? Number.POSITIVE_INFINITY);
  }

  /** Sets the alarm for now, unless one is set. */
  wake(): void {
    this.#alarmS ??= this.#machine().nowS;
  }

  /** What the relay may begin by itself now. */
  begin(): { label: string; go: () => void }[] {
    if (this.nextS() > this.#machine().nowS) return [];
    return [{ label: 'the alarm of the relay', go: () => void this.#alarm() }];
  }

  /** Each call is a step of its own; the work is the relay's. */
  async arm(): Promise<void> {
    await this.#machine().call('objects', 'arm the relay', async () => {
      await this.#inside((relay) => relay.arm());
    });
  }

  /** A sweep takes many steps, so the call is over before it: what follows is the relay's. */
  async sweep(lane: Lane): Promise<unknown> {
    await this.#machine().call('objects', 'have the relay sweep', () => undefined);
    return await this.#inside((relay) => (lane === 'live' ? relay.sweepLive() : relay.sweep()));
  }

  async #inside(work: (relay: OutboxRelay) => Promise<unknown>): Promise<unknown> {
    if (this.#relay === undefined || !this.#process.alive) {
      this.#process = { name: 'relay', alive: true };
      this.#relay = new OutboxRelay(
        this.#state(),
        {} as never,
        outboxRelayPorts(this.#env(), catalog, (work) => void work),
      );
    }
    const relay = this.#relay;
    return await this.#machine().run(this.#process, () => work(relay));
  }

  #state(): DurableObjectState {
    const storage = {
      getAlarm: async () => this.#alarmS,
      get: async (key: string) => this.#disk.get(key),
      put: async (key: string, value: unknown) => void this.#disk.set(key, value),
      delete: async (key: string) => this.#disk.delete(key),
      setAlarm: async (atMs: number) => {
        this.#alarmS = this.#machine().nowS + Math.max(0, Math.round((atMs - Date.now()) / 1_000));
      },
    };
    return { storage } as unknown as DurableObjectState;
  }

  /** The platform runs an alarm that did not end once more. */
  async #alarm(): Promise<void> {
    this.#alarmS = null;
    this.#isAlarmRunning = true;
    try {
      await this.#inside((relay) => relay.alarm());
      if (!this.#process.alive) throw new Error('killed');
    } catch {
      this.#alarmS = this.#machine().nowS + 2;
    } finally {
      this.#isAlarmRunning = false;
    }
  }
}
