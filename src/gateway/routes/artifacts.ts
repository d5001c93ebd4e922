import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { CANDIDATES_BYTES_MAX, MODEL_BYTES_MAX } from '../../inference/bundle.ts';
import { Failure } from '../../platform/failure.ts';
import { mediaType } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

/** The largest artifact of a bundle. */
const ARTIFACT_BYTES_MAX = Math.max(MODEL_BYTES_MAX, CANDIDATES_BYTES_MAX);
const MEDIA_TYPE = 'application/octet-stream';
const Digest = z.string().regex(/^[0-9a-f]{64}$/);

export interface Upload {
  readonly body: ReadableStream<Uint8Array>;
  /** Its length in bytes. */
  readonly bytes: number;
}

export interface ArtifactPorts {
  /**
   * Stores an artifact under its digest while it is read. It is whole or not there.
   *
   * @returns whether the body had the digest; otherwise nothing is stored.
   * @throws Failure `incomplete_body` if the upload breaks off, `model_unavailable` if the store does not answer.
   */
  readonly uploadArtifact: (sha256: string, upload: Upload) => Promise<boolean>;
  /**
   * An artifact while it is read; undefined if there is none.
   *
   * @throws Failure `model_unavailable` if the store does not answer.
   */
  readonly openArtifact: (sha256: string) => Promise<Upload | undefined>;
}

/** Takes artifacts of models, which are too large for the JSON that publishes a version, and gives them to a backup. */
export function registerArtifacts(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  artifactsOf: PortsOf<ArtifactPorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'put',
    path: '/v1/admin/artifacts/{sha256}',
    operationId: 'uploadArtifact',
    summary: 'Uploads an artifact of a model, for a version that is published afterwards',
    tags: ['admin'],
    security: keySecurity,
    request: {
      params: z.object({ sha256: Digest }),
      body: {
        required: true,
        content: { [MEDIA_TYPE]: { schema: z.string().openapi({ format: 'binary' }) } },
      },
    },
    responses: {
      201: json(
        'The artifact is stored. The same artifact may be uploaded again.',
        z.object({ sha256: Digest, bytes: z.int() }),
      ),
      411: problem('The request has no Content-Length.'),
      413: problem('The artifact is larger than a model may be. The body is not read.'),
      415: problem('The body has another type or a content encoding.'),
      422: problem('The body does not have the digest of the path. Nothing is stored.'),
      503: problem('The store does not answer. Nothing is stored.'),
    },
  });
  registerDownload(app, artifactsOf);
  app.put('/v1/admin/artifacts/:sha256', async (c) => {
    const sha256 = c.req.param('sha256');
    let upload: Upload;
    try {
      upload = uploadOf(c.req.raw, sha256);
    } catch (error) {
      await c.req.raw.body?.cancel();
      throw error;
    }
    const { bytes } = upload;
    const action = { action: 'artifact.upload', target: sha256, detail: { bytes } };
    try {
      await gateway.audited(c, action, async () => {
        if (await artifactsOf(c).uploadArtifact(sha256, upload))
          return { result: undefined, after: { bytes } };
        throw new Failure('invalid_model', 'The SHA-256 of the body is not the one in the path.', {
          pointer: 'sha256',
        });
      });
    } catch (error) {
      if (!c.req.raw.bodyUsed) await c.req.raw.body?.cancel();
      throw error;
    }
    return c.json({ sha256, bytes: upload.bytes }, 201);
  });
}

function registerDownload(app: OpenAPIHono<AppEnv>, artifactsOf: PortsOf<ArtifactPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/artifacts/{sha256}',
    operationId: 'getArtifact',
    summary: 'An artifact of a model, as it was uploaded',
    tags: ['admin'],
    security: keySecurity,
    request: { params: z.object({ sha256: Digest }) },
    responses: {
      200: {
        description: 'The artifact.',
        content: { [MEDIA_TYPE]: { schema: z.string().openapi({ format: 'binary' }) } },
      },
      404: problem('There is no such artifact.'),
      503: problem('The store does not answer.'),
    },
  });
  app.get('/v1/admin/artifacts/:sha256', async (c) => {
    const sha256 = digestOf(c.req.param('sha256'));
    const found = await artifactsOf(c).openArtifact(sha256);
    if (found === undefined) throw new Failure('not_found', 'There is no such artifact.');
    const headers = {
      ...{ 'content-type': MEDIA_TYPE, 'content-length': String(found.bytes) },
      ...{ etag: `"${sha256}"`, 'cache-control': 'no-store' },
    };
    return new Response(found.body, { headers });
  });
}

/** @throws Failure `invalid_request` */
function digestOf(sha256: string): string {
  if (Digest.safeParse(sha256).success) return sha256;
  throw new Failure('invalid_request', 'The path has to end with a SHA-256 of 64 lower-case digits.', {
    pointer: 'sha256',
  });
}

/** @throws Failure that says what is wrong, before the body is read. */
function uploadOf(request: Request, sha256: string): Upload {
  digestOf(sha256);
  if (mediaType(request) !== MEDIA_TYPE)
    throw new Failure('unsupported_media_type', `Send ${MEDIA_TYPE}.`, { pointer: 'Content-Type' });
  if ((request.headers.get('content-encoding') ?? 'identity') !== 'identity')
    throw new Failure('unsupported_encoding', 'Send the artifact without a content encoding.', {
      pointer: 'Content-Encoding',
    });
  const length = request.headers.get('content-length');
  if (length === null || !/^\d{1,12}$/.test(length) || request.body === null)
    throw new Failure('length_required', 'Send the artifact with its length in Content-Length.', {
      pointer: 'Content-Length',
    });
  const bytes = Number(length);
  if (bytes > ARTIFACT_BYTES_MAX)
    throw new Failure(
      'body_too_large',
      `The artifact has ${bytes} bytes; at most ${ARTIFACT_BYTES_MAX} are allowed.`,
    );
  return { body: request.body, bytes };
}
