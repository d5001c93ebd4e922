import * as z from 'zod';
import { type Target, unreachable } from '../command-line/target.ts';
import { type BundleBody, readBundleFolder } from './bundle.ts';

/** A publication uploads up to 27 MB, and the registry runs the golden rows. */
const PUBLISH_TIMEOUT_MS = 60_000;

const Published = z.object({ name: z.string(), version: z.string() });
const Problem = z.object({ code: z.string(), detail: z.string(), pointer: z.string().optional() });

/**
 * Publishes the bundle of a folder as the version that answers.
 *
 * @param model the name that the bundle has to have; any where it is not given.
 * @throws Error that says what is wrong: with the folder, the key, the address, or the bundle.
 */
export async function publishFolder(
  folder: string,
  target: Target,
  model?: string,
): Promise<z.output<typeof Published>> {
  const body = await readBundleFolder(folder);
  const { name } = body.manifest;
  if (model !== undefined && name !== model)
    throw new Error(`The bundle in ${folder} is for the model "${name}", not "${model}".`);
  return await publishBundle(body, target);
}

/** @throws Error as `publishFolder` does. */
async function publishBundle(body: BundleBody, target: Target): Promise<z.output<typeof Published>> {
  const { url, key } = target;
  const address = new URL(`/v1/admin/models/${body.manifest.name}/champion`, url);
  let response: Response;
  let text: string;
  try {
    response = await fetch(address, {
      method: 'PUT',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PUBLISH_TIMEOUT_MS),
    });
    text = await response.text();
  } catch (error) {
    throw unreachable(target, error);
  }
  if (response.ok) return Published.parse(JSON.parse(text));
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
