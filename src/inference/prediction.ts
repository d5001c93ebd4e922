import type { FeatureRow } from '../features/store.ts';
import type { LineageFacts } from '../pipeline/lineage/recorder.ts';
import type { Manifest } from './bundle.ts';

/** What is kept of a prediction's features, in characters of JSON: 64 items of history and some numbers fit. */
const FEATURES_CHARACTERS_MAX = 8_192;

/** A prediction that was computed. */
export interface ComputedPrediction {
  readonly id: string;
  /** When its features were read, milliseconds since the Unix epoch. */
  readonly at: number;
  readonly manifest: Pick<Manifest, 'name' | 'version'>;
  /** Whose features were read; undefined where a tensor was sent. */
  readonly subject:
    | { readonly entity: string; readonly key: string; readonly features: FeatureRow }
    | undefined;
  readonly outcome: {
    readonly items: number;
    readonly source: 'model' | 'popularity' | 'tensor' | 'fallback';
    readonly degraded: string | undefined;
  };
}

/** What lineage is told of a prediction: the version, and the features' values that it was made of. */
export function predictionFacts({ id, at, manifest, subject, outcome }: ComputedPrediction): LineageFacts {
  const { items, source, degraded } = outcome;
  return {
    job: 'predict',
    subject: manifest.name,
    version: manifest.version,
    at,
    counts: {
      predictions: 1,
      ...(subject === undefined ? {} : { entities: 1 }),
      ...(source === 'popularity' ? { popularity: 1 } : {}),
      ...(source === 'fallback' ? { fallback: 1 } : {}),
      ...(degraded === undefined ? {} : { degraded: 1 }),
    },
    prediction: {
      id,
      at: new Date(at).toISOString(),
      model: manifest.name,
      version: manifest.version,
      entity: subject?.entity ?? null,
      key: subject?.key ?? null,
      features: subject === undefined ? null : valuesOf(subject.features),
      items,
      source,
      degraded: degraded ?? null,
    },
  };
}

function valuesOf(features: FeatureRow): Record<string, unknown> | null {
  const values = Object.fromEntries(Object.entries(features).map(([name, { value }]) => [name, value]));
  return JSON.stringify(values).length > FEATURES_CHARACTERS_MAX ? null : values;
}
