import type { CounterSample } from '../platform/counters.ts';

/** Samples of the consistency probe, by view, verdict and reason. */
export const PROBE_SAMPLES = 'millrace_probe_samples_total';

/** How consistent the sampled answers were. */
export interface Consistency {
  /** `-log10` of the inconsistent share: 3 for one in a thousand. */
  readonly nines: number;
  /** True if no sample was inconsistent: the samples then prove only a lower bound. */
  readonly atLeast: boolean;
  /** The samples that have a verdict. */
  readonly samples: number;
  readonly inconsistent: number;
  readonly inconclusive: number;
}

/** Nines of consistency over some samples. If none of n samples was inconsistent, they prove no more than log10(n). */
export function consistencyOf(samples: readonly CounterSample[]): Consistency {
  const sum = (verdict: string) =>
    samples
      .filter(({ name, labels }) => name === PROBE_SAMPLES && labels['verdict'] === verdict)
      .reduce((total, { value }) => total + value, 0);
  const inconsistent = sum('inconsistent');
  const all = inconsistent + sum('consistent');
  const nines = all === 0 ? 0 : -Math.log10(Math.max(1, inconsistent) / all);
  // The negated logarithm of one is minus zero.
  return {
    nines: nines + 0,
    atLeast: inconsistent === 0,
    samples: all,
    inconsistent,
    inconclusive: sum('inconclusive'),
  };
}
