import * as z from 'zod';
import { UsageError } from '../command-line/options.ts';
import { type Target, unreachable } from '../command-line/target.ts';
import { type BundleBody, readBundleFolder, sentBundle } from './bundle.ts';

/** An upload has up to 12 MiB; a publication up to 4 MB, and the registry loads the graph and runs the golden rows. */
const SEND_TIMEOUT_MS = 60_000;

const Published = z.object({ name: z.string(), version: z.string() });
const Problem = z.object({ code: z.string(), detail: z.string(), pointer: z.string().optional() });

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
): Promise<z.output<typeof Published>> {
  const body = await readBundleFolder(folder);
  const { name } = body.manifest;
  if (model !== undefined && name !== model)
    throw new UsageError(`The bundle in ${folder} is for the model "${name}", not "${model}".`);
  onRead?.();
  return await publishBundle(body, target, isPublished);
}

/** @throws Error as `publishFolder` does. */
async function publishBundle(
  bundle: BundleBody,
  target: Target,
  isPublished: boolean,
): Promise<z.output<typeof Published>> {
  const { body, uploads } = sentBundle(bundle);
  for (const { sha256, bytes } of uploads)
    await send(target, 'PUT', `/v1/admin/artifacts/${sha256}`, 'application/octet-stream', bytes);
  const path = `/v1/admin/models/${bundle.manifest.name}`;
  const [method, to] = isPublished
    ? (['PUT', `${path}/champion`] as const)
    : (['POST', `${path}/versions`] as const);
  return Published.parse(await send(target, method, to, 'application/json', JSON.stringify(body)));
}

/** @throws Error as `publishFolder` does. */
async function send(
  target: Target,
  method: 'PUT' | 'POST',
  path: string,
  type: string,
  body: BodyInit,
): Promise<unknown> {
  const { url, key } = target;
  let response: Response;
  let text: string;
  try {
    response = await fetch(new URL(path, url), {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': type },
      body,
      signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
    });
    text = await response.text();
  } catch (error) {
    throw unreachable(target, error);
  }
  if (response.ok) return JSON.parse(text);
  throw new Error(refusal(response.status, text, url));
}

function refusal(status: number, text: string, url: string): string {
  const problem = problemOf(text);
  if (problem?.code === 'unauthorized')
    return `The worker at ${url} refuses this key. Give the right one with --key or MILLRACE_KEY.`;
  if (problem === undefined) return `The worker at ${url} answered ${status}: ${text.slice(0, 500)}`;
  const at = problem.pointer === undefined ? '' : ` (at ${problem.pointer})`;
  return `The worker refused the bundle with ${status} ${problem.code}: ${problem.detail}${at}`;
}

function problemOf(text: string): z.output<typeof Problem> | undefined {
  try {
    return Problem.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
