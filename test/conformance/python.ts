import { spawnSync } from 'node:child_process';
import { delimiter } from 'node:path';

/** The environment in which Python finds the packages of `requirements.txt`, and those that read Parquet. */
export function pythonEnvironment(): NodeJS.ProcessEnv {
  const folders = ['TEST_ONNX_PYTHON', 'TEST_PARQUET_PYTHON'].flatMap((name) => process.env[name] ?? []);
  return folders.length === 0 ? process.env : { ...process.env, PYTHONPATH: folders.join(delimiter) };
}

/** Whether Python can import the modules. Tests that need them are skipped otherwise, and say so. */
export function hasPython(...modules: readonly string[]): boolean {
  const { status } = spawnSync('python3', ['-c', `import ${modules.join(', ')}`], {
    env: pythonEnvironment(),
  });
  if (status !== 0)
    console.warn(
      `Skipped: Python has no ${modules.join(', ')}. Install test/conformance/requirements.txt and test/e2e/datasets/requirements.txt, and name their folders by TEST_ONNX_PYTHON and TEST_PARQUET_PYTHON.`,
    );
  return status === 0;
}
