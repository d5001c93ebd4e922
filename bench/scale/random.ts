/** How many of something happen that happen `mean` times on average, independently of each other (Poisson). */
export function poisson(mean: number, random: () => number): number {
  // Beyond a few hundred the spread no longer matters for what is measured here.
  if (mean > 500) return Math.round(mean);
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random(); product > limit; product *= random()) count += 1;
  return count;
}

/** A pause between two events that happen `perSecond` times a second on average, in milliseconds. */
export function pauseMs(perSecond: number, random: () => number): number {
  return (-Math.log(1 - random()) * 1_000) / perSecond;
}
