import { Evaluator } from '../src/inference/evaluator/evaluator.ts';
import { NotEvaluated } from '../src/inference/evaluator/not-evaluated.ts';
import type { Session } from '../src/inference/graph.ts';
import { OnnxRuntime } from '../src/inference/onnx/runtime.ts';
import type { Tensors } from '../src/inference/tensors.ts';

const runtime = new OnnxRuntime(64 * 1024 * 1024);
let session: Session | undefined;
let evaluator: Evaluator | undefined;
let inputs: Tensors = {};

/**
 * `PUT /?rows=R` loads the graph of the body into both tiers. `POST /` with `{tier, rows, runs}` runs it so many times on
 * rows of `inputValue`, and answers the first and the last score.
 */
export default {
  async fetch(request: Request): Promise<Response> {
    if (request.method === 'PUT') {
      const bytes = new Uint8Array(await request.arrayBuffer());
      session?.release();
      session = await runtime.load(bytes);
      evaluator = evaluatorOf(bytes, session);
      return Response.json({ tiers: evaluator === undefined ? ['runtime'] : ['runtime', 'evaluator'] });
    }
    const asked = new URL(request.url).searchParams;
    const rows = Number(asked.get('rows'));
    const graph = asked.get('tier') === 'evaluator' ? evaluator : session;
    if (session === undefined || graph === undefined) return new Response('No graph.', { status: 409 });
    const [input] = session.inputs;
    const [output] = session.outputs;
    if (input === undefined || output === undefined) return new Response('No tensors.', { status: 409 });
    const width = input.shape[1] ?? 1;
    if (inputs[input.name]?.shape.join() !== `${rows},${width}`)
      inputs = {
        [input.name]: {
          datatype: 'FP32',
          shape: [rows, width],
          data: Float32Array.from({ length: rows * width }, (_, at) => ((at * 7_919) % 1_000) / 500 - 1),
        },
      };
    let scores: ArrayLike<unknown> = [];
    for (let run = 0; run < Number(asked.get('runs')); run += 1)
      scores = graph.run(inputs)[output.name]?.data ?? [];
    return Response.json({ first: Number(scores[0]), last: Number(scores[scores.length - 1]) });
  },
};

function evaluatorOf(bytes: Uint8Array, signature: Session): Evaluator | undefined {
  try {
    return Evaluator.read(bytes, signature);
  } catch (error) {
    if (error instanceof NotEvaluated) return undefined;
    throw error;
  }
}
