/** The evaluator does not compute this graph, or these inputs: the runtime has to. The message has the reason. */
export class NotEvaluated extends Error {
  override readonly name = 'NotEvaluated';
}

/** The inputs have a category that the graph does not know. Other inputs of the graph may be evaluated. */
export class UnknownCategory extends NotEvaluated {}
