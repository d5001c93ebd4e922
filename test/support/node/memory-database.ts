import { inject } from 'vitest';

/** Options of `startDevDatabase` for an embedded database that is forgotten on close. */
export function memoryDatabase(): { readonly dataDir: 'memory://'; readonly image: string } {
  return { dataDir: 'memory://', image: inject('emptyDatabase') };
}
