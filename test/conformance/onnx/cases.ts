import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import * as z from 'zod';
import { startOpenInference } from '../../support/node/open-inference.ts';
import { pythonEnvironment } from '../python.ts';

const VERDICTS = ['right', 'rounded', 'refused', 'failed', 'wrong'] as const;

const Case = z.object({
  name: z.string(),
  verdict: z.enum(VERDICTS),
  /** The operators of the case's graph, as `domain:name`. */
  operators: z.array(z.string()),
  detail: z.string().nullish(),
  /** Of a registered case, why the evaluator does not compute it; null if it does, and its answers are compared. */
  notEvaluated: z.string().nullish(),
});
export type Case = z.output<typeof Case>;

/** Runs the cases of `cases.py` against a worker of their own. @throws Error if Python fails. */
export async function runCases(options: readonly string[]): Promise<Case[]> {
  await using server = await startOpenInference();
  const script = join(import.meta.dirname, 'cases.py');
  const python = spawn('python3', [script, server.url.origin, ...options], {
    env: pythonEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [lines, errors] = ['', ''];
  python.stdout.setEncoding('utf8').on('data', (text) => {
    lines += text;
  });
  python.stderr.setEncoding('utf8').on('data', (text) => {
    errors = (errors + text).slice(-2_000);
  });
  const [code] = await once(python, 'close');
  if (code !== 0) throw new Error(`cases.py ended with ${code}: ${errors}`);
  return lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter((line) => 'name' in line)
    .map((line) => Case.parse(line));
}
