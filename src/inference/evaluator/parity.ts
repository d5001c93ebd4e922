import { isFloat } from '../../define/datatype.ts';
import type { Tensors } from '../tensors.ts';

/** How much the evaluator and the runtime may differ: absolutely for values up to 1, relatively above. */
export const PARITY_TOLERANCE = 1e-5;

/** Where the outputs of the evaluator differ from those of the runtime; undefined if they agree. */
export function differenceOf(evaluated: Tensors, computed: Tensors): string | undefined {
  for (const [name, expected] of Object.entries(computed)) {
    const given = evaluated[name];
    if (
      given === undefined ||
      given.datatype !== expected.datatype ||
      given.shape.join() !== expected.shape.join()
    )
      return `"${name}" is ${given?.datatype} [${given?.shape}], not ${expected.datatype} [${expected.shape}]`;
    for (let index = 0; index < expected.data.length; index += 1) {
      const [value, wanted] = [given.data[index], expected.data[index]];
      if (Object.is(value, wanted) || value === wanted) continue;
      const isNear =
        isFloat(expected.datatype) &&
        typeof value === 'number' &&
        typeof wanted === 'number' &&
        Math.abs(value - wanted) <= PARITY_TOLERANCE * Math.max(1, Math.abs(wanted));
      if (!isNear) return `element ${index} of "${name}" is ${value}, not ${wanted}`;
    }
  }
  return undefined;
}
