import type { CounterSample } from '../platform/counters.ts';

/** Samples of the consistency probe, by view, verdict and reason. */
export const PROBE_SAMPLES = 'millrace_probe_samples_total';

/** How consistent the sampled answers were. */
export interface Consistency {
  /** `-log10` of the inconsistent share: 3 for one in a thousand. */
  readonly nines: number;
  /** True where nothing was inconsistent: then the samples only show that it is at least so many nines. */
  readonly atLeast: boolean;
  /** Those with a verdict. */
  readonly samples: number;
  readonly inconsistent: number;
  readonly inconclusive: number;
}

/** Nines of consistency over some samples; with none inconsistent among n, no more than log10(n) can be claimed. */
export function consistencyOf(samples: readonly CounterSample[]): Consistency {
  const sum = (verdict: string) =>
    samples
      .filter(({ name, labels }) => name === PROBE_SAMPLES && labels['verdict'] === verdict)
      .reduce((total, { value }) => total + value, 0);
  const inconsistent = sum('inconsistent');
  const all = inconsistent + sum('consistent');
  const nines = all === 0 ? 0 : -Math.log10(Math.max(1, inconsistent) / all);
  // Minus zero is what the logarithm of one gives.
  return {
    nines: nines + 0,
    atLeast: inconsistent === 0,
    samples: all,
    inconsistent,
    inconclusive: sum('inconclusive'),
  };
}
