import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startOpenInference } from '../../support/node/open-inference.ts';
import { hasPython, pythonEnvironment } from '../python.ts';

const MODULES = ['tritonclient.http', 'skl2onnx', 'onnxmltools', 'lightgbm', 'xgboost', 'pandas'] as const;

it.skipIf(!hasPython(...MODULES))(
  'the Triton client gets what scikit-learn, LightGBM, XGBoost and ONNX compute, for every element type',
  async () => {
    await using server = await startOpenInference();
    const script = join(import.meta.dirname, 'clients.py');
    const python = spawn('python3', [script, server.url.origin], {
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
    await once(python, 'close');
    const checks: { ok: boolean }[] = lines
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
    expect(
      checks.filter(({ ok }) => !ok),
      errors,
    ).toEqual([]);
    expect(checks.length, errors).toBe(17);
  },
  300_000,
);
