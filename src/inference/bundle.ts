import * as z from 'zod';
import { sha256Hex } from '../platform/digest.ts';
import { Failure, jsonPointer } from '../platform/failure.ts';
import { ISOLATE_MEMORY_BYTES } from '../platform/limits.ts';

/** Bytes of a model and of its candidates: parts of the isolate's memory, where two versions have to fit. */
export const MODEL_BYTES_MAX = ISOLATE_MEMORY_BYTES / 8;
export const CANDIDATES_BYTES_MAX = ISOLATE_MEMORY_BYTES / 32;
const GOLDEN_ROWS_MAX = 64;

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Artifact = z.object({ sha256: Sha256, bytes: z.int().positive() });
const Signature = z.object({
  name: z.string().min(1).max(128),
  datatype: z.literal('FP32'),
  shape: z.array(z.int().min(-1)).min(1).max(8),
});

/** What is known of a model's version. Artifacts are named by their content, so a version never changes. */
export const Manifest = z.object({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/),
  version: z.string().regex(/^[0-9a-f]{12}$/),
  model: Artifact,
  candidates: Artifact,
  inputs: z.array(Signature).length(1),
  outputs: z.array(Signature).length(1),
  columns: z.array(z.string().min(1).max(128)).min(1).max(512),
  metrics: z.record(z.string(), z.unknown()),
  baseline: z.record(z.string(), z.unknown()),
  trainedFrom: z.record(z.string(), z.unknown()),
});
export type Manifest = z.output<typeof Manifest>;

const Base64 = (bytesMax: number) =>
  z
    .string()
    .max(Math.ceil(bytesMax / 3) * 4)
    .transform((text, context): Uint8Array<ArrayBuffer> => {
      try {
        return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
      } catch {
        context.addIssue({ code: 'custom', message: 'Expected base64.' });
        return z.NEVER;
      }
    });

/** The body that publishes a model: everything in one piece, so that a version is whole or not there. */
export const Bundle = z.object({
  manifest: Manifest,
  golden: z.object({
    /** Rows by the input's name, and the scores that they must give by the output's. */
    inputs: z.record(z.string(), z.array(z.array(z.number())).min(1).max(GOLDEN_ROWS_MAX)),
    outputs: z.record(z.string(), z.array(z.number()).min(1).max(GOLDEN_ROWS_MAX)),
    tolerance: z.number().positive().max(0.01),
  }),
  model: Base64(MODEL_BYTES_MAX),
  candidates: Base64(CANDIDATES_BYTES_MAX),
});
export type Bundle = z.output<typeof Bundle>;

/** @throws Failure `invalid_model` with the field that is wrong. */
export function parseBundle(body: unknown): Bundle {
  const parsed = Bundle.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Failure('invalid_model', issue?.message ?? 'Not a model bundle.', {
    pointer: jsonPointer(issue?.path ?? []),
  });
}

/** @throws Failure `invalid_model` where bytes are not those that the manifest names. */
export async function assertDigest(
  what: 'model' | 'candidates',
  bytes: Uint8Array<ArrayBuffer>,
  manifest: Manifest,
): Promise<void> {
  const digest = await sha256Hex(bytes);
  if (digest !== manifest[what].sha256) {
    throw new Failure('invalid_model', `The ${what}'s SHA-256 is not the one in the manifest.`, {
      pointer: `/manifest/${what}/sha256`,
    });
  }
}
