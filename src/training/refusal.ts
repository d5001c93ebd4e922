/** Why a training cannot begin, or why its model cannot be written. The codes are stable; the messages may change. */
const TRAINING_CODES = [
  'not_trainable',
  'gates_closed',
  'dataset_gone',
  'invalid_recipe',
  'invalid_columns',
  'invalid_labels',
  'too_few_rows',
  'too_many_rows',
  'too_many_columns',
  'too_many_cells',
  'training_too_large',
  'invalid_checkpoint',
  'not_finished',
  'diverged',
] as const;
export type TrainingCode = (typeof TRAINING_CODES)[number];

/** A training that is refused: the recipe or the data has to change. Across a Durable Object match on `code`. */
export class TrainingRefused extends Error {
  override readonly name = 'TrainingRefused';
  readonly code: TrainingCode;

  constructor(code: TrainingCode, detail: string) {
    super(detail);
    this.code = code;
  }
}
