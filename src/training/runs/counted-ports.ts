import type { RunnerPorts } from './ports.ts';
import type { RunCost } from './run.ts';

type Operations = Pick<RunCost, 'r2Reads' | 'r2Writes' | 'bytesRead' | 'bytesWritten'>;
const NONE: Operations = { r2Reads: 0, r2Writes: 0, bytesRead: 0, bytesWritten: 0 };

/** The ports of a run, with what its calls have read from R2 and written there: no stage can leave an operation out. */
export class CountedPorts {
  readonly ports: RunnerPorts;
  #operations: Operations = NONE;

  constructor(ports: RunnerPorts) {
    const { datasets, kept, registry, keepProfile } = ports;
    this.ports = {
      ...ports,
      datasets: { ...datasets, file: async (...of) => this.#read(await datasets.file(...of)) },
      kept: {
        ...kept,
        get: async (...of) => this.#read(await kept.get(...of)),
        put: async (run, name, bytes) => {
          await kept.put(run, name, bytes);
          this.#wrote(bytes.length);
        },
      },
      registry: {
        ...registry,
        artifact: async (sha256) => this.#read(await registry.artifact(sha256)),
        register: async (definition, bundle) => {
          await registry.register(definition, bundle);
          for (const artifact of [bundle.model, bundle.candidates])
            if (artifact !== undefined) this.#wrote(artifact.length);
        },
      },
      keepProfile:
        keepProfile &&
        (async (profile) => {
          await keepProfile(profile);
          this.#wrote(0);
        }),
    };
  }

  /** The operations since the last call. */
  take(): Operations {
    const taken = this.#operations;
    this.#operations = NONE;
    return taken;
  }

  /** Reading what is not there is an operation, too. */
  #read(bytes: Uint8Array<ArrayBuffer> | undefined): Uint8Array<ArrayBuffer> | undefined {
    const { r2Reads, bytesRead } = this.#operations;
    this.#operations = {
      ...this.#operations,
      ...{ r2Reads: r2Reads + 1, bytesRead: bytesRead + (bytes?.length ?? 0) },
    };
    return bytes;
  }

  #wrote(bytes: number): void {
    const { r2Writes, bytesWritten } = this.#operations;
    this.#operations = {
      ...this.#operations,
      ...{ r2Writes: r2Writes + 1, bytesWritten: bytesWritten + bytes },
    };
  }
}
