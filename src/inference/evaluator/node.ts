import { floatOf, floatsOf, integersOf, textsOf } from '../onnx-file/attribute-lists.ts';
import type { AttributeFile, NodeFile, TensorFile } from '../onnx-file/model-file.ts';
import type { Tensor } from '../tensors.ts';
import { NotEvaluated } from './not-evaluated.ts';
import type { AdditiveOutput } from './sums.ts';

/** Computes a node's outputs. */
export interface Kernel {
  /** An input that the node leaves out is undefined. @throws NotEvaluated */
  (inputs: readonly (Tensor | undefined)[]): readonly Tensor[];
  /** The output whose numbers are made of sums, if it has one. */
  readonly additive?: AdditiveOutput;
}

/** Makes the kernel of a node. @throws NotEvaluated */
export type Operator = (node: Node) => Kernel;

/** A node of a graph while its kernel is made. It notes which attributes the operator reads. */
export class Node {
  readonly operator: string;
  /** The version of the operator's domain. */
  readonly opset: number;
  /** How many inputs and outputs the node names. */
  readonly inputs: number;
  readonly outputs: number;
  readonly #attributes: ReadonlyMap<string, AttributeFile>;
  readonly #read = new Set<string>();

  constructor({ operator, attributes, inputs, outputs }: NodeFile, opset: number) {
    this.operator = operator;
    this.opset = opset;
    this.inputs = inputs.length;
    this.outputs = outputs.length;
    this.#attributes = attributes;
  }

  integer(name: string, byDefault: number): number {
    return this.#attribute(name)?.integer ?? byDefault;
  }

  float(name: string, byDefault: number): number {
    const attribute = this.#attribute(name);
    return (attribute && floatOf(attribute)) ?? byDefault;
  }

  text(name: string, byDefault: string): string {
    return this.#attribute(name)?.text ?? byDefault;
  }

  integers(name: string): number[] {
    const attribute = this.#attribute(name);
    return attribute === undefined ? [] : integersOf(attribute);
  }

  floats(name: string): Float32Array {
    const attribute = this.#attribute(name);
    return attribute === undefined ? new Float32Array() : floatsOf(attribute);
  }

  texts(name: string): string[] {
    const attribute = this.#attribute(name);
    return attribute === undefined ? [] : textsOf(attribute);
  }

  tensor(name: string): TensorFile | undefined {
    return this.#attribute(name)?.tensor;
  }

  has(name: string): boolean {
    return this.#attributes.has(name);
  }

  /** Notes attributes that do not change the outputs. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#read.add(name);
  }

  refuse(reason: string): NotEvaluated {
    return new NotEvaluated(`${this.operator}: ${reason}`);
  }

  /** @throws NotEvaluated for an attribute that the operator does not know. */
  assertAllRead(): void {
    for (const name of this.#attributes.keys())
      if (!this.#read.has(name)) throw this.refuse(`the attribute ${name}`);
  }

  #attribute(name: string): AttributeFile | undefined {
    this.#read.add(name);
    return this.#attributes.get(name);
  }
}
