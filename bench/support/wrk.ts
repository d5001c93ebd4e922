import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';

/** The line that `events.lua` and `features.lua` print. */
const Result = z.object({
  requests: z.int(),
  durationUs: z.number(),
  failed: z.int(),
  p50Us: z.number(),
  p99Us: z.number(),
  refused: z.string(),
});
export type WrkResult = z.output<typeof Result>;

/**
 * Drives a server with a script of wrk in this folder.
 *
 * @param args what the script takes.
 * @throws Error if wrk is not installed, or if a request failed; with the first refusal.
 */
export async function driveByScript(
  script: string,
  { origin }: URL,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
  args: readonly string[],
): Promise<WrkResult> {
  const { stdout } = await promisify(execFile)('wrk', [
    ...['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`],
    ...['--timeout', '20s', '--script', join(import.meta.dirname, script), origin, '--', ...args],
  ]);
  const line = /^RESULT (.*)$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`wrk printed no result: ${stdout}`);
  const result = Result.parse(JSON.parse(line));
  if (result.failed > 0) throw new Error(`${origin}: ${result.failed} requests failed: ${result.refused}`);
  return result;
}
