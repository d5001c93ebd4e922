import * as z from 'zod';
import { type CachePolicy, cachePolicy } from './cache-policy.ts';
import type { Candidates, MakeCandidates } from './candidates.ts';
import type { DatasetDefinition } from './dataset.ts';
import type { EntityDefinition } from './entity.ts';
import type { FeatureReference } from './feature.ts';
import {
  type DeclaredExploration,
  type DeclaredFeedback,
  type Exploration,
  explorationOf,
  type FeedbackDefinition,
  feedbackOf,
} from './feedback.ts';
import { DeclarationMistake, defining } from './mistake.ts';
import type { InputDeclaration, ModelInputs, RequestShape } from './model-input.ts';
import type { Recommending } from './recommending.ts';
import { type DeclaredRetraining, type RetrainingPolicy, retrainingOf } from './retraining.ts';
import { type DeclaredRollout, type RolloutPlan, rolloutOf } from './rollout.ts';
import { type DeclaredRecipe, recipeOf, type TrainingRecipe } from './training-recipe.ts';
import { checkedDeprecation, type Deprecation } from './version.ts';

/** Windowed features change at midnight UTC, and ages grow. An hour is less than most models distinguish. */
const TTL_S = 3_600;

interface ModelBase {
  readonly kind: 'model';
  readonly name: string;
  readonly description: string;
  /** The entity whose features the model reads. */
  readonly entity: EntityDefinition;
  /** How the answers at `path` are cached: for `ttlS` at most, until one of their tags is invalidated. */
  readonly policy: CachePolicy;
  /** Whether its answers are readable without a key. */
  readonly isPublic: boolean;
  /** Who answers for it, for the inventory of the API. */
  readonly owner: string | undefined;
  /** The announced end of all its routes. */
  readonly deprecated: ModelDeprecation | undefined;
  /** How rows with labels are made from history; undefined if none are. */
  readonly dataset: DatasetDefinition | undefined;
  /** How it is trained here; undefined if it is made elsewhere. */
  readonly training: TrainingRecipe | undefined;
  /** When the worker trains it, and what has to hold for it; the defaults if it is not declared. */
  readonly retraining: RetrainingPolicy;
  /** How a new version takes over; undefined if versions only change at once. */
  readonly rollout: RolloutPlan | undefined;
  /** Which answers are logged, and which events are their labels; undefined if none are. */
  readonly feedback: FeedbackDefinition | undefined;
}

/** The announced end of a model's routes. */
export interface ModelDeprecation extends Deprecation {
  /** The model that clients should ask. */
  readonly by?: ModelDefinition;
}

/** The members that every kind of model declares. */
interface CommonDeclaration<Owner extends EntityDefinition> {
  /** Lower case letters, digits and hyphens; at most 64 characters. */
  name: string;
  description: string;
  entity: Owner;
  /** The longest lifetime of an answer, in seconds; the default is 3,600. */
  ttlS?: number;
  /** Makes its answers readable without a key. Without this declaration they require the key. */
  public?: boolean;
  /** Who answers for it, for the inventory of the API: a team, or an address. */
  owner?: string;
  deprecated?: ModelDeprecation;
  /** How rows with labels are made from history: `dataset.ofEvents(…)`, `ofPeriods` or, for a ranking, `ofItems`. */
  dataset?: DatasetDefinition<NoInfer<Owner>>;
  /** The recipe by which it is trained. A script that `npm run train` calls reads it. */
  training?: DeclaredRecipe;
  /** When the worker trains it again, and what has to hold for it. */
  retraining?: DeclaredRetraining;
  /** How a new version takes over: in the shadow, then for a growing share of the entities; `{}` for the defaults. */
  rollout?: DeclaredRollout;
}

/**
 * A ranking model, which scores candidate items for one entity. Its answers depend only on the entity's features and on
 * the model's version, so an event of one entity does not invalidate the answers of others.
 */
export interface RankingModel extends ModelBase, Recommending {
  readonly task: 'ranking';
  /** The route of the entity's ranking: `/v1/riders/{id}/suggestions`, with the key as parameter. */
  readonly path: `/v1/${string}`;
  /** The entity of the ranked items. */
  readonly itemEntity: EntityDefinition;
  /** The column names of the graph's one FP32 input, in order. A model with other columns is refused. */
  readonly columns: readonly string[];
  /** The features that `assemble` receives, by the names under which it receives them. */
  readonly features: Readonly<Record<string, FeatureReference>>;
  /** Validates the artifact that is published with the graph. */
  readonly parseCandidates: (json: unknown) => Candidates;
  /** Makes the artifact from history; undefined if a script does. */
  readonly makeCandidates: MakeCandidates | undefined;
  /** The items to answer with if not even popularity is known in time, marked `degraded`; undefined for none. */
  readonly fallback: readonly string[] | undefined;
  /** The share of the answers at `path` whose items are drawn from the best ones; undefined for none. */
  readonly exploration: Exploration | undefined;
}

/** A model that predicts for one entity; the graph runs on one row. */
interface PredictionBase extends ModelBase {
  /** The route of the entity's prediction, with the key as parameter; undefined if only `POST` serves it. */
  readonly path: `/v1/${string}` | undefined;
  readonly inputs: ModelInputs;
  /** The fields that a client sends with each request. */
  readonly request: z.ZodObject<Record<string, z.ZodType>>;
  /** For each property of the answer, the name of the graph's output that holds it. */
  readonly outputs: Readonly<Record<string, string>>;
  /**
   * The answer if no version can answer, marked `degraded`: a constant, or the published version's `fallback`. If
   * undefined, such a request fails with 503.
   */
  readonly fallback: Readonly<Record<string, unknown>> | 'shipped' | undefined;
}

export interface RegressionModel extends PredictionBase {
  readonly task: 'regression';
}

/** The possible properties of a classification's answer. */
export type ClassOutput = 'label' | 'probabilities' | 'scores';

export interface ClassificationModel extends PredictionBase {
  readonly task: 'classification';
  readonly outputs: Readonly<Partial<Record<ClassOutput, string>>> & Readonly<Record<string, string>>;
  /** The values of the graph's label output, in the order of the columns of probabilities and scores. */
  readonly classes: readonly ClassLabel[];
}

export type ClassLabel = string | number;
export type PredictionModel = RegressionModel | ClassificationModel;
export type ModelDefinition = RankingModel | PredictionModel;

type References = Readonly<Record<string, FeatureReference>>;
type ValuesOf<Features extends References> = {
  readonly [Name in keyof Features]: ReturnType<Features[Name]['read']>;
};

interface PredictionDeclaration<Owner extends EntityDefinition, Request extends RequestShape>
  extends CommonDeclaration<Owner> {
  /** A `GET` route with the entity's key in braces; its answers are cached. Fields of the request are its query. */
  path?: `/v1/${string}`;
  /** The fields that a client sends with each request; `fromRequest(field)` puts a field into a column. */
  request?: Request;
  /** Logs answers, and judges them by later events: `feedback.ofAnswers(…)`. */
  feedback?: DeclaredFeedback<NoInfer<Owner>, 'answers'>;
  /** By the names of the graph's inputs. */
  inputs: Readonly<Record<string, InputDeclaration<NoInfer<Owner>, NoInfer<keyof Request & string>>>>;
}

/** A classification's answer if no version can answer. */
interface ClassFallback<Label extends ClassLabel> {
  readonly label: Label;
  readonly probabilities?: Readonly<Record<`${Label}`, number>>;
  readonly scores?: Readonly<Record<`${Label}`, number>>;
}

/** Declares models. */
export const model = {
  /** A model that ranks items for an entity, with candidates that are published with its graph. */
  ranking: <
    Owner extends EntityDefinition,
    const Features extends Readonly<Record<string, FeatureReference<NoInfer<Owner>>>>,
    const Columns extends readonly string[],
  >(
    declaration: CommonDeclaration<Owner> &
      Recommending<NoInfer<Owner>, NoInfer<Columns>[number]> & {
        path: `/v1/${string}`;
        itemEntity: EntityDefinition;
        columns: Columns;
        features: Features;
        parseCandidates: (json: unknown) => Candidates<ValuesOf<Features>>;
        /** Makes the artifact from the label events of the dataset. The worker trains no ranking without it. */
        makeCandidates?: MakeCandidates;
        /** The items to answer with if not even popularity is known in time; `[]` for an empty answer. */
        fallback?: readonly string[];
        /** Logs answers, and judges them by later events: `feedback.ofItems(…)`. */
        feedback?: DeclaredFeedback<NoInfer<Owner>, 'items'>;
        /** Shows a small share of the answers in random order, for an unbiased view of positions; needs `feedback`. */
        exploration?: DeclaredExploration;
      },
  ): RankingModel => {
    return defining<RankingModel>({ kind: 'model', name: declaration.name }, () => {
      const { path, itemEntity, columns, features, parseCandidates, fallback } = declaration;
      const { exclude, diversity, reasons, exploration } = declaration;
      if (exploration !== undefined && declaration.feedback === undefined)
        throw new DeclarationMistake(
          'It explores, and no event says what came of it.',
          'Declare `feedback`, or leave `exploration` out.',
        );
      return {
        ...base(declaration, 'binary'),
        task: 'ranking',
        path,
        itemEntity,
        columns,
        features,
        fallback,
        makeCandidates: declaration.makeCandidates,
        exploration: exploration && explorationOf(exploration),
        ...(exclude === undefined ? {} : { exclude }),
        ...(diversity === undefined ? {} : { diversity }),
        ...(reasons === undefined ? {} : { reasons }),
        // `inference/rank.ts` passes `assemble` exactly the values of these references.
        parseCandidates: (json) => parseCandidates(json) as Candidates,
      };
    });
  },

  /** A model that predicts numbers for an entity. */
  regression: <
    Owner extends EntityDefinition,
    const Outputs extends { readonly value: string } & Readonly<Record<string, string>>,
    Request extends RequestShape = Record<never, never>,
  >(
    declaration: PredictionDeclaration<Owner, Request> & {
      /** For each property of the answer, the graph's output: `value`, and others such as the bounds of an interval. */
      outputs: Outputs;
      fallback?: { readonly [Property in keyof NoInfer<Outputs>]: number } | 'shipped';
    },
  ): RegressionModel =>
    defining<RegressionModel>({ kind: 'model', name: declaration.name }, () => ({
      ...prediction(declaration, 'regression'),
      task: 'regression',
      outputs: declaration.outputs,
      fallback: declaration.fallback,
    })),

  /** A model that predicts the class of an entity. */
  classification: <
    Owner extends EntityDefinition,
    const Label extends ClassLabel,
    Request extends RequestShape = Record<never, never>,
  >(
    declaration: PredictionDeclaration<Owner, Request> & {
      /** The values of the graph's label output, in the order of the columns of probabilities and scores. */
      classes: readonly Label[];
      /**
       * The graph's outputs: the label, the classes' probabilities, or their scores (logits, votes). Without `label`,
       * the answer's label is the class with the greatest probability or score.
       */
      outputs: Readonly<Partial<Record<ClassOutput, string>>>;
      fallback?: ClassFallback<NoInfer<Label>> | 'shipped';
    },
  ): ClassificationModel => {
    return defining<ClassificationModel>({ kind: 'model', name: declaration.name }, () => {
      const { outputs, classes, fallback, training } = declaration;
      if (training !== undefined && classes.length !== 2)
        throw new DeclarationMistake(
          `It has ${classes.length} classes, and a recipe learns two.`,
          'Declare two classes, or leave `training` out and train the model elsewhere.',
        );
      return {
        ...prediction(declaration, 'binary'),
        task: 'classification',
        outputs: Object.fromEntries(Object.entries(outputs)),
        classes,
        fallback: fallback === 'shipped' || fallback === undefined ? fallback : { ...fallback },
      };
    });
  },
};

/** The features that a model reads. */
export function referencesOf(definition: ModelDefinition): FeatureReference[] {
  if (definition.task === 'ranking') {
    const { features, exclude } = definition;
    return [...Object.values(features), ...(exclude === undefined ? [] : [exclude.items])];
  }
  return Object.values(definition.inputs).flatMap(({ columns }) =>
    Object.values(columns).flatMap((column) => (column.from === 'feature' ? [column.reference] : [])),
  );
}

/** The column names of each declared input. */
export function columnNames(definition: PredictionModel): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    Object.entries(definition.inputs).map(([name, { columns }]) => [name, Object.keys(columns)]),
  );
}

/** The schema of a prediction's outputs in an answer, without the members around them. */
export function answerSchema(definition: PredictionModel): z.ZodObject {
  if (definition.task === 'regression') {
    return z.strictObject(
      Object.fromEntries(Object.keys(definition.outputs).map((property) => [property, z.number()])),
    );
  }
  const [first, ...others] = definition.classes.map((label) => z.literal(label));
  const label = first === undefined ? z.never() : z.union([first, ...others]);
  const byClass = z.strictObject(
    Object.fromEntries(definition.classes.map((of) => [String(of), z.number()])),
  );
  const { probabilities, scores } = definition.outputs;
  return z.strictObject({
    label,
    ...(probabilities === undefined ? {} : { probabilities: byClass.optional() }),
    ...(scores === undefined ? {} : { scores: byClass.optional() }),
  });
}

function base(
  {
    name,
    description,
    entity,
    ttlS = TTL_S,
    public: isPublic = false,
    owner,
    deprecated,
    dataset,
    training: recipe,
    retraining = {},
    rollout: declared,
    feedback,
  }: CommonDeclaration<EntityDefinition> & { readonly feedback?: DeclaredFeedback | undefined },
  task: TrainingRecipe['task'],
) {
  // Scores also change with time alone, so a comparison with the origin would report differences that are not faults.
  const policy = cachePolicy({ ttlS, probe: false });
  checkedDeprecation(deprecated);
  const training = recipe && recipeOf(recipe, task);
  const rollout = declared && rolloutOf(declared);
  return {
    kind: 'model' as const,
    name,
    description,
    entity,
    policy,
    isPublic,
    owner,
    deprecated,
    dataset,
    training,
    retraining: retrainingOf(retraining),
    rollout,
    feedback: feedback && feedbackOf(feedback),
  };
}

function prediction<Owner extends EntityDefinition, Request extends RequestShape>(
  declaration: PredictionDeclaration<Owner, Request>,
  task: TrainingRecipe['task'],
) {
  const inputs: ModelInputs = Object.fromEntries(
    Object.entries(declaration.inputs).map(([name, { datatype = 'FP32', columns }]) => [
      name,
      { datatype, columns },
    ]),
  );
  const request = z.strictObject({ ...declaration.request });
  return { ...base(declaration, task), path: declaration.path, inputs, request };
}
