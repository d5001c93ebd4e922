import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** The folder of Feast's SDK, which `.ci/run` prepares (python/requirements.txt). */
const PACKAGES = process.env['TEST_FEAST_PYTHON'];
/** Why the tests of the SDK are skipped, where it is missing. */
export const missing = PACKAGES === undefined ? 'TEST_FEAST_PYTHON is not set' : undefined;

/** A step of the SDK; its forms: python/client.py. */
export type Step =
  | Readonly<Record<'read' | 'online_read' | 'push', object>>
  | Readonly<Record<string, object>>;
export type Outcome = { readonly result: unknown } | { readonly error: string };

/** Importing the SDK takes up to half a minute on a busy machine. */
const TIMEOUT_MS = 150_000;

/**
 * Takes the steps with Feast's SDK, whose online store is at `url`.
 *
 * @param more names of features that its registry has beside the usual ones.
 */
export async function withFeast(
  url: URL,
  key: string,
  steps: readonly Step[],
  more: readonly string[] = [],
): Promise<Outcome[]> {
  const child = spawn('python3', [join(import.meta.dirname, 'python/client.py'), url.origin, key, ...more], {
    env: { ...process.env, PYTHONPATH: PACKAGES, FEAST_USAGE: 'False' },
    timeout: TIMEOUT_MS,
    stdio: 'pipe',
  });
  child.stdin.end(JSON.stringify(steps));
  const [out, err, code] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject)),
  ]);
  if (code !== 0) throw new Error(`Feast's SDK has ended with ${code}: ${err}`);
  return out
    .trimEnd()
    .split('\n')
    .map((line): Outcome => JSON.parse(line));
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
