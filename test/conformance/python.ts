import { spawnSync } from 'node:child_process';

/** The environment in which Python finds the packages of `requirements.txt`. */
export function pythonEnvironment(): NodeJS.ProcessEnv {
  const folder = process.env['TEST_ONNX_PYTHON'];
  return folder === undefined ? process.env : { ...process.env, PYTHONPATH: folder };
}

/** Whether Python can import the modules. Tests that need them are skipped otherwise, and say so. */
export function hasPython(...modules: readonly string[]): boolean {
  const { status } = spawnSync('python3', ['-c', `import ${modules.join(', ')}`], {
    env: pythonEnvironment(),
  });
  if (status !== 0)
    console.warn(
      `Skipped: Python has no ${modules.join(', ')}. Install test/conformance/requirements.txt, and name the folder by TEST_ONNX_PYTHON.`,
    );
  return status === 0;
}
