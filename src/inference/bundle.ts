import * as z from 'zod';
import { DATATYPES } from '../define/datatype.ts';
import { sha256Hex } from '../platform/digest.ts';
import { Failure, jsonPointer } from '../platform/failure.ts';
import { ISOLATE_MEMORY_BYTES, MODEL_MEMORY_BYTES } from '../platform/limits.ts';
import { SegmentAnswerers } from './segments.ts';

/**
 * The most bytes of a model. While it is loaded, the runtime has it in its memory three times: the file, the parsed
 * graph, and the weights. With the runtime itself that is two thirds of `MODEL_MEMORY_BYTES`; the rest is for what a
 * run needs and for gaps that other models leave.
 */
export const MODEL_BYTES_MAX = (MODEL_MEMORY_BYTES * 3) / 16;
/** The most bytes of a ranking's candidates. Parsed, they take about five times as much of the isolate's memory. */
export const CANDIDATES_BYTES_MAX = ISOLATE_MEMORY_BYTES / 32;
/**
 * The most bytes of an artifact within the body that publishes a version. As base64 in JSON an artifact is in memory
 * about ten times, so a larger one is uploaded by itself.
 */
export const INLINE_BYTES_MAX = 1024 * 1024;
/** The graph runs all golden rows when a model is published, within one request. */
const GOLDEN_ROWS_MAX = 64;
const TENSORS_MAX = 64;

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Artifact = z.object({ sha256: Sha256, bytes: z.int().positive() });
const Output = z.object({
  name: z.string().min(1).max(256),
  datatype: z.enum(DATATYPES),
  shape: z.array(z.int().min(-1)).max(8).describe('A dimension of -1 is free.'),
});
const Input = Output.extend({
  columns: z
    .array(z.string().min(1).max(128))
    .min(1)
    .max(512)
    .optional()
    .describe("What the columns mean, in order: the names of the catalog's declaration."),
});

/** The metadata of a model's version. Artifacts are named by their content, so a version never changes. */
export const Manifest = z.object({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/),
  version: z
    .string()
    .regex(/^[0-9a-f]{12}$/)
    .describe('The first 12 digits of the SHA-256 of what the version consists of; see docs/models.md.'),
  model: Artifact,
  candidates: Artifact.optional().describe('Of a ranking: what there is to rank.'),
  inputs: z.array(Input).min(1).max(TENSORS_MAX),
  outputs: z.array(Output).min(1).max(TENSORS_MAX),
  fallback: z
    .record(z.string(), z.unknown())
    .optional()
    .describe(
      'Answers, marked `degraded`, where the graph cannot and the catalog declares `fallback: "shipped"`.',
    ),
  segments: SegmentAnswerers.optional().describe(
    'Of a ranking: who ranks the candidates of new and of returning entities.',
  ),
  metrics: z.record(z.string(), z.unknown()).default({}),
  baseline: z.record(z.string(), z.unknown()).default({}),
  trainedFrom: z.record(z.string(), z.unknown()).default({}),
});
export type Manifest = z.output<typeof Manifest>;

/** Input rows and the outputs that the graph must give for them. */
export const Golden = z.object({
  inputs: z
    .record(z.string(), z.array(z.unknown()).min(1).max(GOLDEN_ROWS_MAX))
    .describe("By the input's name, nested arrays in the shape of the tensor."),
  outputs: z
    .record(z.string(), z.array(z.unknown()).min(1).max(GOLDEN_ROWS_MAX))
    .refine((outputs) => Object.keys(outputs).length > 0, 'Name at least one output.')
    .describe("By the output's name, nested arrays in the shape of the tensor."),
  tolerance: z
    .number()
    .positive()
    .max(0.01)
    .describe('Of floats: absolute up to 1, relative above. Every other type must be equal.'),
});
export type Golden = z.output<typeof Golden>;

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

const CARD_CHARACTERS_MAX = 65_536;

/** The body that publishes a model. An artifact that it does not contain has been uploaded before. */
export const Bundle = z.object({
  manifest: Manifest,
  golden: Golden,
  card: z
    .string()
    .max(CARD_CHARACTERS_MAX)
    .refine((text) => !text.includes('\0'), 'A card cannot contain NUL.')
    .optional()
    .describe('The model card for people, in Markdown: purpose, data, limits.'),
  model: Base64(INLINE_BYTES_MAX)
    .optional()
    .describe(
      "The ONNX file in base64. Without it, the uploaded artifact of the manifest's digest is taken.",
    ),
  candidates: Base64(INLINE_BYTES_MAX)
    .optional()
    .describe('The candidates of a ranking in base64. Without them, the uploaded artifact is taken.'),
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

/** The artifacts and values that identify a version. */
export type VersionParts = Pick<Manifest, 'model'> &
  Partial<Pick<Manifest, 'candidates' | 'fallback' | 'segments'>>;

/**
 * The version of a bundle: the first 12 hexadecimal digits of the SHA-256 of the artifacts' digests, followed by the
 * JSON of the fallback if there is one, and by the text of `segments` if the manifest has them. Equal bundles have equal
 * versions, and publishing one twice changes nothing.
 */
export async function versionOf({ model, candidates, fallback, segments }: VersionParts): Promise<string> {
  const parts = [
    model.sha256,
    candidates?.sha256 ?? '',
    fallback === undefined ? '' : JSON.stringify(fallback),
    segments === undefined ? '' : `segments:${segments.new},${segments.returning}`,
  ];
  return (await sha256Hex(parts.join(''))).slice(0, 12);
}

/** @throws Failure `invalid_model` if an artifact is larger than Millrace takes. */
export function assertSizes({ model, candidates }: VersionParts): void {
  for (const [what, artifact, bytesMax] of [
    ['model', model, MODEL_BYTES_MAX],
    ['candidates', candidates, CANDIDATES_BYTES_MAX],
  ] as const) {
    if (artifact === undefined || artifact.bytes <= bytesMax) continue;
    throw new Failure(
      'invalid_model',
      `The ${what} has ${artifact.bytes} bytes; at most ${bytesMax} are allowed. docs/models.md has the reason.`,
      { pointer: `/manifest/${what}/bytes` },
    );
  }
}

/** @throws Failure `invalid_model` if the bytes do not have the digest and the length of the manifest. */
export async function assertDigest(
  what: 'model' | 'candidates',
  bytes: Uint8Array<ArrayBuffer>,
  manifest: Manifest,
): Promise<void> {
  const named = manifest[what];
  if (named !== undefined && bytes.length !== named.bytes) {
    throw new Failure(
      'invalid_model',
      `The ${what} has ${bytes.length} bytes; the manifest has ${named.bytes}.`,
      {
        pointer: `/manifest/${what}/bytes`,
      },
    );
  }
  if (named === undefined || (await sha256Hex(bytes)) !== named.sha256) {
    throw new Failure('invalid_model', `The ${what}'s SHA-256 is not the one in the manifest.`, {
      pointer: `/manifest/${what}/sha256`,
    });
  }
}
