import { type OpenAPIHono, z } from '@hono/zod-openapi';
import {
  answerSchema,
  type ModelDefinition,
  type PredictionModel,
  type RankingModel,
} from '../define/model.ts';
import type { ItemReasons } from '../define/recommending.ts';
import { DEGRADED_REASONS } from '../inference/degraded.ts';
import { LINKS } from '../inference/evaluator/sums.ts';
import { EXPLANATION_METHODS } from '../inference/explain/explanation.ts';
import { POPULARITY_REASONS } from '../inference/segments.ts';
import type { AppEnv } from './context.ts';
import { EntityKey } from './entity-key.ts';
import { FeatureValue } from './feature-value.ts';
import { includeMember, partsOf } from './included-parts.ts';

const PREDICTION_ID =
  'The id for `/v1/lineage/prediction/{id}`. A cached answer has the id of its computation.';

const DegradedReason = z
  .enum(DEGRADED_REASONS)
  .describe(
    'Why something else than the version that the alias names answers. Such an answer is not cached.',
  );

/** The parts that an answer has if the client asks for them. */
const featuresParts = {
  features: z
    .record(z.string(), FeatureValue)
    .nullable()
    .optional()
    .describe('With `include`: the features that the answer is made of; null if something else made it.'),
  freshness: z
    .object({
      asOf: z.int().describe('When the features were read.'),
      newestEventAt: z.int().nullable(),
      oldestEventAt: z.int().nullable(),
    })
    .nullable()
    .optional()
    .describe('With `include`, in milliseconds since the Unix epoch.'),
};

/** The schema of an explanation (`inference/explain/explanation.ts`). */
function explanationOf(model: PredictionModel) {
  const classes = model.task === 'classification' ? model.classes.map((label) => z.literal(label)) : [];
  const [first, ...others] = classes;
  return z.discriminatedUnion('status', [
    z.object({
      status: z.literal('exact'),
      method: z.enum(EXPLANATION_METHODS),
      output: z.string().describe("The answer's property that is explained."),
      ...(first === undefined ? {} : { class: z.union([first, ...others]) }),
      link: z
        .enum(LINKS)
        .describe(
          'What makes the number of the answer of the score. By logistic and softmax, the score is a logarithm of odds.',
        ),
      score: z.number().describe('The baseline and all contributions added up.'),
      baseline: z.number().describe('The score if all features have their defaults.'),
      tolerance: z.number().describe('Absolute for values up to 1, relative above.'),
      contributions: z.array(
        z.object({
          input: z.string(),
          column: z.string(),
          feature: z.string(),
          value: z.number().nullable(),
          baseline: z.number().nullable(),
          contribution: z.number().describe('In the unit of the score.'),
        }),
      ),
    }),
    z.object({ status: z.literal('unavailable'), reason: z.enum(DEGRADED_REASONS) }),
  ]);
}

/** The schema of the declared reasons of an item. */
function reasonsOf({ groups }: ItemReasons) {
  const reason = z.object({
    reason: z.enum(Object.keys(groups)),
    text: z.string(),
    contribution: z.number().describe('What it adds to the score.'),
  });
  return z.array(reason).optional().describe('What raises the score most. Of the first items of the model.');
}

/** The schema of a ranking's answer at its path. */
function rankingAnswer(model: RankingModel): z.ZodObject {
  return z.object({
    [model.entity.name]: z.string(),
    items: z.array(
      z.object({
        item: z.string(),
        score: z.number(),
        ...(model.reasons === undefined ? {} : { reasons: reasonsOf(model.reasons) }),
      }),
    ),
    model: z.object({ name: z.string(), version: z.string().nullable() }),
    predictionId: z.uuid().describe(PREDICTION_ID),
    source: z.enum(['model', 'previous', 'stale', 'popularity', 'fallback']),
    reason: z
      .enum(POPULARITY_REASONS)
      .optional()
      .describe(
        'Why popularity answers though the version can be used: the features give the model nothing to rank by, or the ' +
          "version's evaluation lets popularity answer new, or returning, entities.",
      ),
    ...(model.exploration === undefined
      ? {}
      : {
          explored: z
            .literal(true)
            .optional()
            .describe('The items are drawn from the best ones, in random order.'),
        }),
    degraded: DegradedReason.optional(),
    ...featuresParts,
  });
}

/** The schema of a regression's or a classification's answer. */
function predictionAnswer(model: PredictionModel): z.ZodObject {
  return z.object({
    key: z.string().describe("The key's canonical text."),
    ...answerSchema(model).shape,
    model: z.object({ name: z.string(), version: z.string().nullable() }),
    predictionId: z.uuid().describe(PREDICTION_ID),
    source: z.enum(['model', 'previous', 'stale', 'fallback']),
    degraded: DegradedReason.optional(),
    ...featuresParts,
    explanation: explanationOf(model)
      .optional()
      .describe('With `include`: the baseline and what each feature adds to it.'),
  });
}

/** The body of a regression's or a classification's `POST`, except for raw tensors. */
export function predictionRequest(model: PredictionModel): z.ZodObject {
  const { request } = model;
  const takesFields = Object.keys(request.shape).length > 0;
  return z.strictObject({
    key: EntityKey,
    ...(takesFields ? { request } : {}),
    include: includeMember(partsOf(model)),
  });
}

/** A model's schemas among the components. */
export interface ModelSchemas {
  /** Undefined for a ranking: all rankings have the same request. */
  readonly request: z.ZodType | undefined;
  readonly answer: z.ZodType;
}

/** Registers the schemas of all models as components: `demand.PredictionRequest`, `demand.Prediction`. */
export function registerModelSchemas(
  { openAPIRegistry: registry }: OpenAPIHono<AppEnv>,
  models: readonly ModelDefinition[],
): ReadonlyMap<ModelDefinition, ModelSchemas> {
  return new Map(
    models.map((model): [ModelDefinition, ModelSchemas] => [
      model,
      model.task === 'ranking'
        ? { request: undefined, answer: registry.register(`${model.name}.Ranking`, rankingAnswer(model)) }
        : {
            request: registry.register(`${model.name}.PredictionRequest`, predictionRequest(model)),
            answer: registry.register(`${model.name}.Prediction`, predictionAnswer(model)),
          },
    ]),
  );
}
