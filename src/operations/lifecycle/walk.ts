import * as z from 'zod';

/** What is kept under one first part of the keys of R2. */
const Count = z.object({
  objects: z.int(),
  bytes: z.int(),
  /** When the oldest of them was written, RFC 3339. */
  oldest: z.string().nullable(),
});
export const Counts = z.record(z.string(), Count);
/** By the first part of the keys: `artifacts` for `artifacts/0a1b…`. */
export type Counts = Readonly<z.output<typeof Counts>>;

/** The first parts of the keys that Millrace writes; all others count as `other`. */
export const PREFIXES = ['artifacts', 'datasets', 'drift', 'models', 'served', 'training'] as const;
const OTHER = 'other';

/** An object of R2; the moment is in milliseconds since the Unix epoch. */
interface KeptObject {
  readonly key: string;
  readonly bytes: number;
  readonly writtenMs: number;
}

/** Something that may be removed if nothing needs it. */
export interface Candidate {
  /** The SHA-256 of an artifact, or `<model>/<version>` of a profile. */
  readonly id: string;
  readonly detail: { readonly bytes: number; readonly at: string };
}

/** The counts with those of a page. */
export function withPage(counts: Counts, objects: readonly KeptObject[]): Counts {
  const added = new Map(Object.entries(counts));
  for (const { key, bytes, writtenMs } of objects) {
    const first = key.slice(0, Math.max(0, key.indexOf('/')));
    const prefix = PREFIXES.find((known) => known === first) ?? OTHER;
    const before = added.get(prefix) ?? { objects: 0, bytes: 0, oldest: null };
    const at = new Date(writtenMs).toISOString();
    const oldest = before.oldest === null || at < before.oldest ? at : before.oldest;
    added.set(prefix, { objects: before.objects + 1, bytes: before.bytes + bytes, oldest });
  }
  return Object.fromEntries(added);
}

const ARTIFACT = /^artifacts\/(?<id>[0-9a-f]{64})$/;
const PROFILE = /^drift\/(?<id>.+\/[0-9a-f]{12})\.json$/;

/** Artifacts that were written before a moment. A later one may be an upload whose version is registered soon. */
export function agedArtifacts(objects: readonly KeptObject[], beforeMs: number): Candidate[] {
  return aged(objects, beforeMs, ARTIFACT);
}

/** Drift profiles that were written before a moment. */
export function agedProfiles(objects: readonly KeptObject[], beforeMs: number): Candidate[] {
  return aged(objects, beforeMs, PROFILE);
}

function aged(objects: readonly KeptObject[], beforeMs: number, form: RegExp): Candidate[] {
  return objects.flatMap(({ key, bytes, writtenMs }) => {
    const id = form.exec(key)?.groups?.['id'];
    if (id === undefined || writtenMs >= beforeMs) return [];
    return [{ id, detail: { bytes, at: new Date(writtenMs).toISOString() } }];
  });
}
