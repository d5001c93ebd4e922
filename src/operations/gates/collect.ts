import type { Catalog } from '../../define/catalog.ts';
import { CHECK_MS, reasonOf, TookTooLong } from '../diagnosis.ts';
import type { GateEvidence, InventoryFacts, Known, KnownEvidence, Source } from './evidence.ts';

/** Reads each source. It may hang. */
export type GateSources = { readonly [Name in Source]: () => Promise<GateEvidence[Name]> };

export interface CollectPorts {
  readonly sources: GateSources;
  readonly withTimeout: <T>(promise: Promise<T>, timeoutMs: number, onTimeout: () => Error) => Promise<T>;
  /** Logs why a source was not read. */
  readonly failed: (source: Source, error: unknown) => void;
}

/** How long the sources are waited for, in milliseconds: a diagnosis has two deadlines of its own that follow each other. */
export const SOURCE_MS = 2 * CHECK_MS + 100;

/**
 * Reads the wanted sources at once. A source that fails or hangs is not known, with the reason; so it ends within
 * `SOURCE_MS`.
 */
export async function collectEvidence(
  wanted: ReadonlySet<Source>,
  declared: { readonly catalog: Catalog; readonly inventory: InventoryFacts },
  { sources, withTimeout, failed }: CollectPorts,
): Promise<KnownEvidence> {
  const read = async <Name extends Source>(name: Name): Promise<Known<GateEvidence[Name]>> => {
    if (!wanted.has(name)) return { unknown: 'It was not asked for.' };
    try {
      const late = () => new TookTooLong(`No answer within ${SOURCE_MS} ms.`);
      return { value: await withTimeout(sources[name](), SOURCE_MS, late) };
    } catch (error) {
      failed(name, error);
      return { unknown: reasonOf(error) };
    }
  };
  const [checks, waiting, kafkaLag, quality, history, newest, stored, counters, objectives, features] =
    await Promise.all([
      ...([read('checks'), read('waiting'), read('kafkaLag'), read('quality')] as const),
      ...([
        read('history'),
        read('newest'),
        read('stored'),
        read('counters'),
        read('objectives'),
        read('features'),
      ] as const),
    ]);
  return {
    ...{ ...declared, checks, waiting, kafkaLag, quality },
    ...{ history, newest, stored, counters, objectives, features },
  };
}
