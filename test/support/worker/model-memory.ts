/**
 * A worker that has nothing but the models of an isolate, so that the memory of its process is theirs.
 *
 * `PUT /MODEL` keeps an ONNX file whose inputs are FP32. `POST /?models=A,B&times=N&evict=1&atOnce=M` loads and runs the
 * models in turn, N times, by M callers at once; with `evict` no model is in memory when it is asked for.
 */
import type { ModelDefinition } from '../../../src/define/model.ts';
import type { Manifest } from '../../../src/inference/bundle.ts';
import { LoadedModels } from '../../../src/inference/loaded-models.ts';
import { artifactKey } from '../../../src/inference/names.ts';
import { OnnxRuntime } from '../../../src/inference/onnx/runtime.ts';
import { sizeOf } from '../../../src/inference/tensors.ts';
import { systemTime } from '../../../src/platform/clock.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { reasonOf } from '../../../src/platform/failure.ts';
import { MODEL_MEMORY_BYTES } from '../../../src/platform/limits.ts';

const runtime = new OnnxRuntime(MODEL_MEMORY_BYTES);
const models = new LoadedModels(systemTime, MODEL_MEMORY_BYTES);
const artifacts = new Map<string, Uint8Array<ArrayBuffer>>();
const manifests = new Map<string, Manifest>();
let loads = 0;

const ports = {
  store: {
    get: async (key: string) => artifacts.get(key),
    put: async () => undefined,
  },
  loadGraph: async (bytes: Uint8Array<ArrayBuffer>) => {
    loads += 1;
    models.makeRoom(bytes.length);
    return await runtime.load(bytes);
  },
};

async function keep(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const sha256 = await sha256Hex(bytes);
  artifacts.set(artifactKey(sha256), bytes);
  manifests.set(name, {
    name,
    version: sha256.slice(0, 12),
    model: { sha256, bytes: bytes.length },
    inputs: [],
    outputs: [],
    metrics: {},
    baseline: {},
    trainedFrom: {},
  });
}

/** @returns the first value of the first output, or the message of the failure. */
async function runOnce(name: string, ctx: ExecutionContext): Promise<number | string> {
  const manifest = manifests.get(name);
  if (manifest === undefined) throw new Error(`There is no model "${name}".`);
  // The only field that a load of a regression reads.
  const definition = { task: 'regression' } as unknown as ModelDefinition;
  try {
    const { graph } = await models.get(definition, manifest, ports, (work) => ctx.waitUntil(work));
    const inputs = graph.inputs.map(({ name: input, datatype, shape }) => {
      const sizes = shape.map((dimension) => (dimension === -1 ? 1 : dimension));
      return [input, { datatype, shape: sizes, data: new Float32Array(sizeOf(sizes)).fill(0.5) }] as const;
    });
    const outputs = await graph.run(Object.fromEntries(inputs));
    return Number(Object.values(outputs)[0]?.data[0]);
  } catch (error) {
    return reasonOf(error);
  }
}

export default {
  async fetch(request: Request, _env: unknown, ctx: ExecutionContext): Promise<Response> {
    const url = new URL(request.url);
    if (request.method === 'PUT') {
      await keep(url.pathname.slice(1), new Uint8Array(await request.arrayBuffer()));
      return new Response();
    }
    const parameter = (name: string) => Number(url.searchParams.get(name) ?? 1);
    const names = url.searchParams.get('models')?.split(',') ?? [];
    let answers: (number | string)[] = [];
    for (let time = 0; time < parameter('times'); time += 1) {
      answers = [];
      for (const name of names) {
        if (url.searchParams.has('evict')) models.makeRoom(Number.POSITIVE_INFINITY);
        const runs = Array.from({ length: parameter('atOnce') }, () => runOnce(name, ctx));
        answers.push(...new Set(await Promise.all(runs)));
      }
    }
    return Response.json({ answers, loads, heapBytes: runtime.heapBytes, bytes: models.bytes });
  },
} satisfies ExportedHandler;
