import { OnnxRuntime } from '../src/inference/onnx/runtime.ts';
import { checkpointOf, startTraining, stepTraining, type TrainingState } from '../src/training/run.ts';
import { madeUpSet, type SetShape } from '../test/support/training/sets.ts';

const onnx = new OnnxRuntime(64 * 1024 * 1024);
const runtime = { load: (bytes: Uint8Array) => onnx.load(Uint8Array.from(bytes)) };
let set: ReturnType<typeof madeUpSet> | undefined;
let state: TrainingState | undefined;

interface Asked {
  readonly set?: SetShape;
  readonly recipe?: unknown;
}

/**
 * `PUT /` makes the set of the body. `POST /` starts the recipe of the body on it, or takes one step of what was started, and
 * answers the loss of the later rows: one request is one step, as in the object that trains.
 */
export default {
  async fetch(request: Request): Promise<Response> {
    const asked: Asked = await request.json();
    if (request.method === 'PUT') {
      state = undefined;
      set = asked.set && madeUpSet(asked.set);
      return Response.json({ rows: set?.labels.length });
    }
    if (set === undefined) return new Response('No set.', { status: 409 });
    if (asked.recipe !== undefined) state = startTraining(asked.recipe, set, 1);
    else if (state !== undefined) state = await stepTraining(state, runtime);
    if (state === undefined) return new Response('No training.', { status: 409 });
    return Response.json({
      isDone: state.isDone,
      loss: state.losses.at(-1)?.validation ?? null,
      checkpointBytes: state.isDone ? checkpointOf(state).length : null,
    });
  },
};
