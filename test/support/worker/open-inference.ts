/**
 * A worker that serves models by the Open Inference Protocol without a catalog: for tests with graphs of any signature.
 *
 * `PUT /models/NAME` registers an ONNX file as publishing does, with the same refusals; `DELETE /models/NAME` releases
 * it. Each run of a graph that the evaluator computes, too, is compared with the runtime's.
 */
import { OpenAPIHono } from '@hono/zod-openapi';
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { ANONYMOUS } from '../../../src/define/principal.ts';
import type { AppEnv, Gateway } from '../../../src/gateway/context.ts';
import { failureFormAt, problemResponse } from '../../../src/gateway/problem.ts';
import { registerOpenInference } from '../../../src/gateway/routes/open-inference.ts';
import { Evaluator } from '../../../src/inference/evaluator/evaluator.ts';
import { NotEvaluated } from '../../../src/inference/evaluator/not-evaluated.ts';
import { differenceOf } from '../../../src/inference/evaluator/parity.ts';
import type { Session } from '../../../src/inference/graph.ts';
import { OnnxRuntime } from '../../../src/inference/onnx/runtime.ts';
import { assertServable } from '../../../src/inference/onnx-file/refusals.ts';
import type { Tensors } from '../../../src/inference/tensors.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';
import { Failure, reasonOf } from '../../../src/platform/failure.ts';
import { MODEL_MEMORY_BYTES } from '../../../src/platform/limits.ts';

const runtime = new OnnxRuntime(MODEL_MEMORY_BYTES);
interface Model {
  readonly version: string;
  readonly bytes: Uint8Array;
  session: Session;
  readonly evaluator: Evaluator | undefined;
}
const models = new Map<string, Model>();

/** The evaluator of a graph, or the reason why there is none. */
function evaluatorOf(bytes: Uint8Array, session: Session): Evaluator | string {
  try {
    return Evaluator.read(bytes, session);
  } catch (error) {
    if (error instanceof NotEvaluated && error.cause === undefined) return error.message;
    throw error;
  }
}

/** Runs the graph by both tiers. @throws Error if they differ. */
function compared({ session, evaluator }: Model, ...given: Parameters<Session['run']>): Tensors {
  const computed = session.run(...given);
  if (evaluator === undefined) return computed;
  const difference = differenceOf(evaluator.run(...given), computed);
  if (difference !== undefined) throw new Failure('internal', `The evaluator differs: ${difference}`);
  return computed;
}

const app = new OpenAPIHono<AppEnv>();
app.onError((error, c) => {
  const response = problemResponse(error, 'test', failureFormAt(c.req.path));
  response.headers.set('x-reason', encodeURIComponent(reasonOf(error)));
  return response;
});
const gateway: Gateway = {
  catalog: defineCatalog({}),
  authorize: async (_, next) => await next(),
  noteDeprecated: () => {},
  admit: () => ANONYMOUS,
  charge: async () => {},
  audited: async (_, _action, effect) => (await effect()).result,
  auditedSteps: async (_, _action, step) => (await step()).result,
};
registerOpenInference(
  app,
  gateway,
  (_, name) => {
    const model = models.get(name);
    if (model === undefined) return undefined;
    const { session, version } = model;
    return {
      isPublic: true,
      current: async () => ({
        version,
        degraded: undefined,
        inputs: session.inputs,
        outputs: session.outputs,
        load: async () => {
          if (model.session.isReleased) model.session = await runtime.load(model.bytes);
          return {
            inputs: session.inputs,
            outputs: session.outputs,
            run: async (...given) => compared(model, ...given),
          };
        },
        ran: () => 'test',
      }),
    };
  },
  () => ({
    instance: undefined,
    release: undefined,
    database: async () => undefined,
    clock: async () => undefined,
    artifacts: async () => undefined,
    dependencies: async () => ({ isCounted: false, dependencies: [] }),
  }),
);

app.put('/models/:name', async (c) => {
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  assertServable(bytes);
  const session = await runtime.load(bytes);
  models.get(c.req.param('name'))?.session.release();
  const read = evaluatorOf(bytes, session);
  const isEvaluated = read instanceof Evaluator;
  const version = (await sha256Hex(bytes)).slice(0, 12);
  models.set(c.req.param('name'), { version, bytes, session, evaluator: isEvaluated ? read : undefined });
  const notEvaluated = isEvaluated ? undefined : read;
  return c.json({ inputs: session.inputs, outputs: session.outputs, notEvaluated }, 201);
});
app.delete('/models/:name', (c) => {
  models.get(c.req.param('name'))?.session.release();
  models.delete(c.req.param('name'));
  return c.body(null, 204);
});

export default app;
