import type { FeatureRow } from '../features/shards.ts';
import type { LineageFacts } from '../pipeline/lineage/recorder.ts';
import type { Manifest } from './bundle.ts';
import type { Maker } from './degraded.ts';

/**
 * The most characters of JSON that lineage keeps of a prediction's features: 64 items of history and some numbers fit.
 */
const FEATURES_CHARACTERS_MAX = 8_192;

/** A computed prediction. */
export interface ComputedPrediction {
  readonly id: string;
  /** When its features were read, milliseconds since the Unix epoch. */
  readonly at: number;
  readonly manifest: Pick<Manifest, 'name' | 'version'>;
  /** The entity whose features were read; undefined if the request sent a tensor. */
  readonly subject:
    | { readonly entity: string; readonly key: string; readonly features: FeatureRow }
    | undefined;
  readonly outcome: {
    readonly items: number;
    readonly source: Maker | 'popularity' | 'tensor' | 'fallback';
    readonly degraded: string | undefined;
  };
}

/** The facts that lineage records about a prediction: the version, and the values of its features. */
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
