import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';

/** A publication uploads up to some megabytes, and the registry runs the golden rows. */
const PUBLISH_TIMEOUT_MS = 60_000;

const Named = z.looseObject({ name: z.string() });

/**
 * Publishes the bundle of a folder (`manifest.json`, `golden.json`, `model.onnx`, `candidates.json`) as the champion
 * of the model that its manifest names.
 *
 * @throws Error with the problem's text where the registry refuses it.
 */
export async function publishFolder(
  folder: string,
  target: { readonly url: string; readonly key: string },
): Promise<unknown> {
  const read = (name: string) => readFile(join(folder, name));
  const json = async (name: string): Promise<unknown> => JSON.parse((await read(name)).toString('utf8'));
  const manifest = Named.parse(await json('manifest.json'));
  const response = await fetch(new URL(`/v1/admin/models/${manifest.name}/champion`, target.url), {
    method: 'PUT',
    headers: { authorization: `Bearer ${target.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      manifest,
      golden: await json('golden.json'),
      model: (await read('model.onnx')).toString('base64'),
      candidates: (await read('candidates.json')).toString('base64'),
    }),
    signal: AbortSignal.timeout(PUBLISH_TIMEOUT_MS),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`The registry answered ${response.status}: ${text}`);
  return JSON.parse(text);
}
