import * as z from 'zod';
import { Failure, jsonPointer } from '../platform/failure.ts';
import type { FloatTensor, Graph } from './onnx-runtime.ts';

/** Bounds of a tensor that a client sends. */
const ELEMENTS_MAX = 262_144;
const DIMENSION_MAX = 65_536;

const Tensor = z.object({
  name: z.string(),
  datatype: z.literal('FP32'),
  shape: z.array(z.int().min(0).max(DIMENSION_MAX)).min(1).max(8),
  data: z.array(z.number()).max(ELEMENTS_MAX),
});

/** A request with raw tensors, in the words of the Open Inference Protocol, version 2. */
export const TensorRequest = z.object({ inputs: z.array(Tensor).length(1) });

/**
 * The one input of a request, checked against the graph.
 *
 * @throws Failure `tensor_mismatch` with the field that does not fit.
 */
export function inputTensor(body: unknown, { input }: Pick<Graph, 'input'>): FloatTensor {
  const parsed = TensorRequest.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Failure('tensor_mismatch', issue?.message ?? 'Not a tensor.', {
      pointer: jsonPointer(issue?.path ?? []),
    });
  }
  const [tensor] = parsed.data.inputs;
  if (tensor === undefined || tensor.name !== input.name) {
    throw new Failure('tensor_mismatch', `The model's input is named "${input.name}".`, {
      pointer: '/inputs/0/name',
    });
  }
  const fits =
    tensor.shape.length === input.shape.length &&
    tensor.shape.every((dimension, index) => input.shape[index] === -1 || input.shape[index] === dimension);
  if (!fits) {
    throw new Failure('tensor_mismatch', `The model takes [${input.shape}], not [${tensor.shape}].`, {
      pointer: '/inputs/0/shape',
    });
  }
  const elements = tensor.shape.reduce((count, dimension) => count * dimension, 1);
  if (elements !== tensor.data.length || elements === 0) {
    throw new Failure(
      'tensor_mismatch',
      `The shape wants ${elements} values (at least 1); data has ${tensor.data.length}.`,
      {
        pointer: '/inputs/0/data',
      },
    );
  }
  return { shape: tensor.shape, data: Float32Array.from(tensor.data) };
}
