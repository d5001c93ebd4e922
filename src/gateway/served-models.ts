import type { Context } from 'hono';
import type { DegradedReason } from '../inference/degraded.ts';
import type { Graph } from '../inference/graph.ts';
import { predictionFacts } from '../inference/prediction.ts';
import { unpublished } from '../inference/registry.ts';
import type { TensorSignature } from '../inference/tensors.ts';
import type { LineageFacts } from '../pipeline/lineage/recorder.ts';
import { systemNow } from '../platform/clock.ts';
import { newId } from '../platform/ids.ts';
import { consistencyOf } from './cached-response.ts';
import { type ChampionPorts, championNow, loadVersion } from './champion.ts';
import type { AppEnv, Gateway, PortsOf } from './context.ts';

/** A version of a model, with what its graph takes and returns. */
export interface ServedVersion {
  readonly version: string;
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /** Set if the version may have been replaced. */
  readonly degraded: DegradedReason | undefined;
  /** @throws Failure `model_unavailable`. */
  load(): Promise<Graph>;
  /**
   * Records a run for the lineage of its prediction.
   *
   * @returns the id of the prediction.
   */
  ran(rows: number): string;
}

/** A model as the Open Inference Protocol asks for it. */
export interface ServedModel {
  readonly isPublic: boolean;
  /**
   * The version that answers.
   *
   * @throws Failure `model_unavailable` if there is none.
   */
  current(): Promise<ServedVersion>;
}

export type ServedModelOf = (c: Context<AppEnv>, name: string) => ServedModel | undefined;

export interface ServingPorts extends ChampionPorts {
  readonly predicted: (facts: LineageFacts) => void;
}

/** The models of a catalog, each with its champion. */
export function servedModels({ catalog }: Gateway, portsOf: PortsOf<ServingPorts>): ServedModelOf {
  return (c, name) => {
    const definition = catalog.models.find((model) => model.name === name);
    if (definition === undefined) return undefined;
    return {
      isPublic: definition.isPublic,
      current: async () => {
        const ports = portsOf(c);
        const champion = await championNow(ports, definition, consistencyOf(c.req.raw.headers));
        if (champion === null) throw unpublished(name);
        const { manifest, isCurrent } = champion;
        const degraded: DegradedReason | undefined = isCurrent ? undefined : 'model_unverified';
        return {
          ...manifest,
          degraded,
          load: async () => (await loadVersion(ports, definition, manifest)).graph,
          ran: (rows) => {
            const id = newId();
            const outcome = { items: rows, source: 'tensor', degraded } as const;
            ports.predicted(predictionFacts({ id, at: systemNow(), manifest, subject: undefined, outcome }));
            return id;
          },
        };
      },
    };
  };
}
