import { WorkerEntrypoint } from 'cloudflare:workers';
import { Evaluator } from '../src/inference/evaluator/evaluator.ts';
import { NotEvaluated } from '../src/inference/evaluator/not-evaluated.ts';
import type { Session } from '../src/inference/graph.ts';
import { OnnxRuntime } from '../src/inference/onnx/runtime.ts';
import type { Tensors } from '../src/inference/tensors.ts';
import { MODEL_INPUT, MODEL_OUTPUT } from './models/tensors.ts';

const runtime = new OnnxRuntime(64 * 1024 * 1024);
let session: Session | undefined;
let evaluator: Evaluator | undefined;

/** The graph behind a service binding. */
export class Inference extends WorkerEntrypoint {
  async run(tensors: Tensors): Promise<Tensors> {
    if (session === undefined) throw new Error('No graph.');
    return session.run(tensors);
  }
}

interface Env {
  /** Another worker of this script; only the caller has it. */
  readonly INFERENCE?: { run(tensors: Tensors): Promise<Tensors> };
}

/**
 * `PUT /` loads the graph of the body into both tiers. `POST /?tier=T&rows=R&width=W&runs=N` runs it so many times on the
 * same rows, here or behind the service binding, and answers the first and the last score.
 */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (request.method === 'PUT') {
      const bytes = new Uint8Array(await request.arrayBuffer());
      session?.release();
      session = await runtime.load(bytes);
      evaluator = evaluatorOf(bytes, session);
      return Response.json({ tiers: evaluator === undefined ? ['runtime'] : ['runtime', 'evaluator'] });
    }
    const asked = new URL(request.url).searchParams;
    const [rows, width, runs] = ['rows', 'width', 'runs'].map((name) => Number(asked.get(name)));
    const graph = graphOf(asked.get('tier'), env);
    if (graph === undefined) return new Response('No graph.', { status: 409 });
    const inputs = rowsOf(rows ?? 0, width ?? 0);
    let scores: ArrayLike<unknown> = [];
    for (let run = 0; run < (runs ?? 0); run += 1) {
      const made = graph.run(inputs);
      scores = ('then' in made ? await made : made)[MODEL_OUTPUT]?.data ?? [];
    }
    return Response.json({ first: Number(scores[0]), last: Number(scores[scores.length - 1]) });
  },
};

interface Graph {
  run(inputs: Tensors): Tensors | Promise<Tensors>;
}

function graphOf(tier: string | null, env: Env): Graph | undefined {
  if (tier === 'service') return env.INFERENCE;
  return tier === 'evaluator' ? evaluator : session;
}

function rowsOf(rows: number, width: number): Tensors {
  const data = Float32Array.from({ length: rows * width }, (_, at) => ((at * 7_919) % 1_000) / 500 - 1);
  return { [MODEL_INPUT]: { datatype: 'FP32', shape: [rows, width], data } };
}

function evaluatorOf(bytes: Uint8Array, signature: Session): Evaluator | undefined {
  try {
    return Evaluator.read(bytes, signature);
  } catch (error) {
    if (error instanceof NotEvaluated) return undefined;
    throw error;
  }
}
