/**
 * The compiled WASM of onnxruntime-web for tests in workerd. The test plugin would send the file as a JSON list of 14
 * million numbers, which takes seconds of each worker's start; a binding has its bytes (vitest.config.ts).
 * The binding that compiles them is the plugin's own.
 */
import { env } from 'cloudflare:workers';
import * as z from 'zod';

const { ONNX_WASM, __VITEST_POOL_WORKERS_UNSAFE_EVAL: compiler } = z
  .object({
    ONNX_WASM: z.instanceof(ArrayBuffer),
    __VITEST_POOL_WORKERS_UNSAFE_EVAL: z.custom<{ newWasmModule(bytes: ArrayBuffer): WebAssembly.Module }>(),
  })
  .parse(env);

export default compiler.newWasmModule(ONNX_WASM);
