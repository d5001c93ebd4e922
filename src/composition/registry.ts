import type { LoadedModels } from '../inference/loaded-models.ts';
import type { OnnxRuntime } from '../inference/onnx/runtime.ts';
import type { RegistryPorts } from '../inference/registry.ts';
import type { Observation } from '../operations/observation.ts';
import { systemRandom } from '../platform/random.ts';
import { type Span, spanned } from '../platform/tracing/span.ts';
import { r2Artifacts } from '../storage/artifacts.ts';
import type { connect } from '../storage/postgres/connect.ts';
import { championIn, rolloutIn } from './champion.ts';

interface RegistryParts {
  readonly bucket: R2Bucket;
  readonly db: () => ReturnType<typeof connect>;
  readonly models: LoadedModels;
  readonly runtime: OnnxRuntime;
  readonly observation: Observation;
  /** The share of the runtime's runs that the evaluator computes, too. */
  readonly parityShare: number;
  readonly span: Span;
}

/** The registry of models as an isolate reads it, within a span. */
export function registryOf(parts: RegistryParts): RegistryPorts {
  const { bucket, db, models, runtime, observation, parityShare, span } = parts;
  return {
    store: spanned(span, 'artifacts', r2Artifacts(bucket)),
    loadGraph: async (bytes) => {
      models.makeRoom(bytes.length);
      return await runtime.load(bytes);
    },
    champion: (model) => championIn(db())(model),
    rollout: (model) => rolloutIn(db())(model),
    tiers: {
      isSampled: () => systemRandom() < parityShare,
      ran: (model, tier) => {
        observation.modelRan(model, tier);
        span.child({ name: `run ${model}`, attributes: { 'millrace.model.tier': tier } }).end();
      },
      compared: (model, verdict) => observation.modelCompared(model, verdict),
    },
  };
}
