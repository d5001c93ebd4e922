import {
  createClient,
  ProblemError,
  UnexpectedAnswerError,
  UnreachableError,
} from '../../src/client/index.ts';
import { UsageError } from '../command-line/options.ts';
import { type Target, unreachable } from '../command-line/target.ts';
import { type BundleBody, readBundleFolder, sentBundle } from './bundle.ts';

/** An upload has up to 12 MiB; a publication up to 4 MB, and the registry loads the graph and runs the golden rows. */
const SEND_MS_MAX = 60_000;
/** Who publishes sees at once why it failed, and may repeat it: what was uploaded is known by its digest. */
const ONCE = { isRepeatable: false, idempotencyKey: false } as const;

interface Published {
  readonly name: string;
  readonly version: string;
}

/**
 * Publishes the bundle of a folder as the version that answers.
 *
 * @param model the name that the bundle has to have; any where it is not given.
 * @param isPublished false only registers the version: the one that answers stays.
 * @param onRead called once the folder was found to be a bundle, before anything is sent.
 * @throws UsageError for a folder that is no bundle, or one of another model.
 * @throws Error that says what is wrong with the key, the address, or the bundle.
 */
export async function publishFolder(
  folder: string,
  target: Target,
  model?: string,
  { isPublished = true, onRead }: { readonly isPublished?: boolean; readonly onRead?: () => void } = {},
): Promise<Published> {
  const body = await readBundleFolder(folder);
  const { name } = body.manifest;
  if (model !== undefined && name !== model)
    throw new UsageError(`The bundle in ${folder} is for the model "${name}", not "${model}".`);
  onRead?.();
  return await publishBundle(body, target, isPublished);
}

/** @throws Error as `publishFolder` does. */
async function publishBundle(bundle: BundleBody, target: Target, isPublished: boolean): Promise<Published> {
  const { body, uploads } = sentBundle(bundle);
  const client = createClient({ ...target, deadlineMs: SEND_MS_MAX, attemptMs: SEND_MS_MAX });
  const path = { model: bundle.manifest.name };
  try {
    for (const { sha256, bytes } of uploads)
      await client.put('/v1/admin/artifacts/{sha256}', {
        ...{ path: { sha256 }, body: bytes, contentType: 'application/octet-stream' },
        ...ONCE,
      });
    const { data } = isPublished
      ? await client.put('/v1/admin/models/{model}/champion', { path, body, ...ONCE })
      : await client.post('/v1/admin/models/{model}/versions', { path, body, ...ONCE });
    return data;
  } catch (error) {
    throw explained(error, target);
  }
}

/** The error in the words of a command, with the one of the client as its cause. */
function explained(error: unknown, target: Target): Error {
  const { url } = target;
  const because = (text: string) => new Error(text, { cause: error });
  if (error instanceof ProblemError) {
    const { code, status, problem } = error;
    if (code === 'unauthorized')
      return because(`The worker at ${url} refuses this key. Give the right one with --key or MILLRACE_KEY.`);
    const at = problem.pointer === undefined ? '' : ` (at ${problem.pointer})`;
    return because(`The worker refused the bundle with ${status} ${code}: ${problem.detail}${at}`);
  }
  if (error instanceof UnexpectedAnswerError) return because(error.message);
  // The error of the client is a sentence that names the address, as the one here does.
  const reason = error instanceof UnreachableError ? error.cause : error;
  return new Error(unreachable(target, reason).message, { cause: error });
}
