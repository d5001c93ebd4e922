/** Element types of tensors, with the names of the Open Inference Protocol. `BYTES` is text in UTF-8. */
export const DATATYPES = [
  'BOOL',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
] as const;
export type Datatype = (typeof DATATYPES)[number];

/** Types whose elements are numbers. */
export type NumericDatatype = Exclude<Datatype, 'BOOL' | 'BYTES'>;

/** Types whose elements may have fractions. */
export function isFloat(datatype: Datatype): boolean {
  return datatype === 'FP16' || datatype === 'FP32' || datatype === 'FP64';
}

/** The least and the greatest value of an integer type; undefined for other types. */
export function integerRange(datatype: Datatype): readonly [min: bigint, max: bigint] | undefined {
  const match = /^(U?)INT(\d+)$/.exec(datatype);
  if (match === null) return undefined;
  const bits = BigInt(match[2] ?? 0);
  return match[1] === 'U' ? [0n, 2n ** bits - 1n] : [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
}

/** Whether a tensor of this type can hold the value without changing it, except for the rounding of floats. */
export function holds(datatype: Datatype, value: unknown): boolean {
  switch (datatype) {
    case 'BYTES':
      return typeof value === 'string';
    case 'BOOL':
      return typeof value === 'boolean';
    case 'FP64':
      return typeof value === 'number';
    case 'FP16':
    case 'FP32': {
      // A number beyond the range of the type would become infinite.
      const rounded = datatype === 'FP16' ? Math.f16round : Math.fround;
      return typeof value === 'number' && (Number.isFinite(rounded(value)) || !Number.isFinite(value));
    }
    default: {
      const range = integerRange(datatype);
      if (range === undefined || typeof value !== 'number' || !Number.isSafeInteger(value)) return false;
      return BigInt(value) >= range[0] && BigInt(value) <= range[1];
    }
  }
}
