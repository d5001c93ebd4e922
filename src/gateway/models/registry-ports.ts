import type { Token } from '../../cache/clock/clock.ts';
import type { ModelDefinition } from '../../define/model.ts';
import type { Bundle } from '../../inference/bundle.ts';
import type { Measurement } from '../../inference/measure.ts';
import type {
  AliasChange,
  AliasTarget,
  NamedVersion,
  NewVersion,
  RegisteredVersion,
} from '../../storage/postgres/model-versions.ts';

/** All of them throw Failure `database_unavailable`; `point` throws `clock_unavailable` too. */
export interface ModelRegistryPorts {
  /** @throws Failure `invalid_model`, `over_budget`, `model_unavailable` */
  readonly check: (definition: ModelDefinition, bundle: Bundle) => Promise<Measurement>;
  /** @returns whether the version is new. */
  readonly register: (version: NewVersion, principal: string) => Promise<boolean>;
  /**
   * Lets an alias name another version.
   *
   * @param registered is registered in the same transaction.
   * @returns undefined if the alias names something else than was expected, or there is no such version to be named.
   */
  readonly point: (
    target: AliasTarget,
    principal: string,
    registered?: NewVersion,
  ) => Promise<{ readonly token: Token; readonly revision: number } | undefined>;
  /** @returns whether the version is withdrawn; false if there is none, or an alias names it. */
  readonly retire: (
    version: { readonly model: string; readonly version: string },
    principal: string,
  ) => Promise<boolean>;
  /** What an alias names, and what it named before and may name again. */
  readonly previous: (
    model: string,
    alias: string,
  ) => Promise<{ readonly current: string | null; readonly previous: string | undefined }>;
  readonly version: (model: string, version: string) => Promise<RegisteredVersion | undefined>;
  /** The newest first. */
  readonly versions: (model: string, limit: number) => Promise<RegisteredVersion[]>;
  /** The changes of all aliases of a model, the newest first. */
  readonly history: (model: string, limit: number) => Promise<AliasChange[]>;
  /** What each alias of each model names. */
  readonly aliases: () => Promise<NamedVersion[]>;
}
