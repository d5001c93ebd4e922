import * as z from 'zod';
import { type CachePolicy, cachePolicy } from './cache-policy.ts';
import type { EntityDefinition } from './entity.ts';
import type { FeatureReference } from './feature.ts';
import type { InputDeclaration, ModelInputs, RequestShape } from './model-input.ts';

/** Features roll over at midnight UTC and ages grow: an hour is within what most models notice. */
const TTL_S = 3_600;

interface ModelBase {
  readonly kind: 'model';
  readonly name: string;
  readonly description: string;
  /** Whose features the model reads. */
  readonly entity: EntityDefinition;
  /** How the answers at `path` are cached: `ttlS` by declaration, and void before that when a tag is invalidated. */
  readonly policy: CachePolicy;
  /** Whether its answers need no key. */
  readonly isPublic: boolean;
}

/** What every kind of model declares. */
interface CommonDeclaration<Owner extends EntityDefinition> {
  /** Lower case letters, digits and hyphens; at most 64 characters. */
  name: string;
  description: string;
  entity: Owner;
  /** How long an answer lives at most, in seconds; 3,600 where it is not stated. */
  ttlS?: number;
  /** Answers without a key. Everything is closed that does not say so. */
  public?: boolean;
}

/** One request's rows, assembled from an entity's features: what the graph takes, and what each row stands for. */
export interface AssembledRows {
  readonly items: readonly string[];
  /** Row-major, `items.length` × the number of columns. */
  readonly rows: Float32Array;
}

/** The static side of a ranking model: what there is to recommend, as of its training. */
export interface Candidates<Features = Readonly<Record<string, unknown>>> {
  has(item: string): boolean;
  /** The most popular items, best first: the answer where the model cannot give one. */
  popular(limit: number): { readonly item: string; readonly score: number }[];
  /**
   * Rows for the given items, or for the candidates of this entity where none are given; `null` where nothing
   * is known of the entity that a model could go by, so that popularity is the better answer.
   *
   * @param now milliseconds since the Unix epoch.
   */
  assemble(features: Features, items: readonly string[] | undefined, now: number): AssembledRows | null;
}

/**
 * A ranking model: it scores candidate items for one entity. Its answers depend on the entity's features and
 * on the model's version alone, so that an event of one entity leaves the others' answers as they are.
 */
export interface RankingModel extends ModelBase {
  readonly task: 'ranking';
  /** Where the entity's ranking is served: `/v1/riders/{id}/suggestions`, with the key as parameter. */
  readonly path: `/v1/${string}`;
  /** What the items are. */
  readonly itemEntity: EntityDefinition;
  /** Names of the columns of the graph's one FP32 input, in order. A model with other columns is refused. */
  readonly columns: readonly string[];
  /** The features that `assemble` gets, by the names under which it gets them. */
  readonly features: Readonly<Record<string, FeatureReference>>;
  /** Checks the artifact that is shipped beside the graph. */
  readonly parseCandidates: (json: unknown) => Candidates;
}

/** A model that answers with a prediction for one entity; the graph is run on one row. */
interface PredictionBase extends ModelBase {
  /** Where the entity's prediction is served, with the key as parameter; undefined where only `POST` serves it. */
  readonly path: `/v1/${string}` | undefined;
  readonly inputs: ModelInputs;
  /** What a client sends with each request. */
  readonly request: z.ZodObject<Record<string, z.ZodType>>;
  /** By the answer's property, the name of the graph's output that it is read from. */
  readonly outputs: Readonly<Record<string, string>>;
  /**
   * Answers where no version can, marked `degraded`: a constant, or what the published version ships as `fallback`.
   * Undefined: such a request fails with 503.
   */
  readonly fallback: Readonly<Record<string, unknown>> | 'shipped' | undefined;
}

export interface RegressionModel extends PredictionBase {
  readonly task: 'regression';
}

/** The properties that a classification's answer can have. */
export type ClassOutput = 'label' | 'probabilities' | 'scores';

export interface ClassificationModel extends PredictionBase {
  readonly task: 'classification';
  readonly outputs: Readonly<Partial<Record<ClassOutput, string>>> & Readonly<Record<string, string>>;
  /** As the graph's label output has them, in the order of the columns of probabilities and scores. */
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
  /** What a client sends with each request, by field; `fromRequest(field)` puts a field into a column. */
  request?: Request;
  /** By the names of the graph's inputs. */
  inputs: Readonly<Record<string, InputDeclaration<NoInfer<Owner>, NoInfer<keyof Request & string>>>>;
}

/** A class's answer where no version can answer. */
interface ClassFallback<Label extends ClassLabel> {
  readonly label: Label;
  readonly probabilities?: Readonly<Record<`${Label}`, number>>;
  readonly scores?: Readonly<Record<`${Label}`, number>>;
}

/** Declares models. */
export const model = {
  /** A model that orders items for an entity, with candidates that are shipped beside its graph. */
  ranking: <
    Owner extends EntityDefinition,
    const Features extends Readonly<Record<string, FeatureReference<NoInfer<Owner>>>>,
  >(
    declaration: CommonDeclaration<Owner> & {
      path: `/v1/${string}`;
      itemEntity: EntityDefinition;
      columns: readonly string[];
      features: Features;
      parseCandidates: (json: unknown) => Candidates<ValuesOf<Features>>;
    },
  ): RankingModel => {
    const { path, itemEntity, columns, features, parseCandidates } = declaration;
    return {
      ...base(declaration),
      task: 'ranking',
      path,
      itemEntity,
      columns,
      features,
      // `inference/rank.ts` gives `assemble` the values of these references and of no others.
      parseCandidates: (json) => parseCandidates(json) as Candidates,
    };
  },

  /** A model that gives numbers for an entity. */
  regression: <
    Owner extends EntityDefinition,
    const Outputs extends { readonly value: string } & Readonly<Record<string, string>>,
    Request extends RequestShape = Record<never, never>,
  >(
    declaration: PredictionDeclaration<Owner, Request> & {
      /** By the answer's property, the graph's output: `value`, and others such as the bounds of an interval. */
      outputs: Outputs;
      fallback?: { readonly [Property in keyof NoInfer<Outputs>]: number } | 'shipped';
    },
  ): RegressionModel => ({
    ...prediction(declaration),
    task: 'regression',
    outputs: declaration.outputs,
    fallback: declaration.fallback,
  }),

  /** A model that tells which of some classes an entity belongs to. */
  classification: <
    Owner extends EntityDefinition,
    const Label extends ClassLabel,
    Request extends RequestShape = Record<never, never>,
  >(
    declaration: PredictionDeclaration<Owner, Request> & {
      /** As the graph's label output has them, in the order of the columns of probabilities and scores. */
      classes: readonly Label[];
      /**
       * The graph's outputs: the label, the classes' probabilities, or their scores (logits, votes). Without `label`
       * the answer's label is the class with the greatest probability or score.
       */
      outputs: Readonly<Partial<Record<ClassOutput, string>>>;
      fallback?: ClassFallback<NoInfer<Label>> | 'shipped';
    },
  ): ClassificationModel => {
    const { outputs, classes, fallback } = declaration;
    return {
      ...prediction(declaration),
      task: 'classification',
      outputs: Object.fromEntries(Object.entries(outputs)),
      classes,
      fallback: fallback === 'shipped' || fallback === undefined ? fallback : { ...fallback },
    };
  },
};

/** The features that a model reads. */
export function referencesOf(definition: ModelDefinition): FeatureReference[] {
  if (definition.task === 'ranking') return Object.values(definition.features);
  return Object.values(definition.inputs).flatMap(({ columns }) =>
    Object.values(columns).flatMap((column) => (column.from === 'feature' ? [column.reference] : [])),
  );
}

/** The column names of each input that the declaration names: of a ranking, of its only input, whatever its name. */
export function columnNames(definition: PredictionModel): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    Object.entries(definition.inputs).map(([name, { columns }]) => [name, Object.keys(columns)]),
  );
}

/** What a prediction answers: the properties that its outputs have in an answer, without what is around them. */
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

function base({
  name,
  description,
  entity,
  ttlS = TTL_S,
  public: isPublic = false,
}: CommonDeclaration<EntityDefinition>) {
  // Scores move with time alone as well, so a comparison with the origin would report what is no fault.
  const policy = cachePolicy({ ttlS, probe: false });
  return { kind: 'model' as const, name, description, entity, policy, isPublic };
}

function prediction<Owner extends EntityDefinition, Request extends RequestShape>(
  declaration: PredictionDeclaration<Owner, Request>,
) {
  const inputs: ModelInputs = Object.fromEntries(
    Object.entries(declaration.inputs).map(([name, { datatype = 'FP32', columns }]) => [
      name,
      { datatype, columns },
    ]),
  );
  const request = z.strictObject({ ...declaration.request });
  return { ...base(declaration), path: declaration.path, inputs, request };
}

/** The names in braces of a path. */
export function parametersOf(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
}
