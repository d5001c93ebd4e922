/** The answers of a graph for all rows of a set. */
import type { ModelDefinition } from '../../define/model.ts';
import type { Manifest } from '../../inference/bundle.ts';
import type { Session } from '../../inference/graph.ts';
import type { ChampionAnswers } from './evaluation.ts';
import type { Learnable } from './learnable.ts';
import type { RowSet } from './set.ts';

/** Rows of a run of the graph. */
const ROWS_OF_RUN = 4_096;

/**
 * Runs a graph on all rows.
 *
 * @param width how many numbers it answers for a row; the last one is taken, which is that of the second class.
 */
export function answersOf(
  session: Pick<Session, 'run'>,
  { input, output }: Pick<Learnable, 'input' | 'output'>,
  { columns, labels }: RowSet,
  width = 1,
): Float32Array {
  const answers = new Float32Array(labels.length);
  for (let start = 0; start < labels.length; start += ROWS_OF_RUN) {
    const rows = Math.min(ROWS_OF_RUN, labels.length - start);
    const data = new Float32Array(rows * columns.length);
    for (const [at, column] of columns.entries())
      for (let row = 0; row < rows; row += 1) data[row * columns.length + at] = column[start + row] ?? 0;
    const made = session.run({ [input]: { datatype: 'FP32', shape: [rows, columns.length], data } }, [
      output,
    ]);
    const given = made[output]?.data;
    for (let row = 0; row < rows; row += 1)
      answers[start + row] = Number(given?.[row * width + width - 1] ?? Number.NaN);
  }
  return answers;
}

/** A graph that is loaded for one use. */
export type UsesGraph = <T>(
  bytes: Uint8Array<ArrayBuffer>,
  use: (session: Pick<Session, 'run'>) => T,
) => Promise<T>;

/** The answers of the champion, if it takes the same columns as the new model. */
export async function championAnswers(
  definition: ModelDefinition,
  learnable: Learnable,
  manifest: Manifest,
  set: RowSet,
  graph: { readonly bytes: Uint8Array<ArrayBuffer> | undefined; readonly use: UsesGraph },
): Promise<ChampionAnswers> {
  const { version, inputs, outputs } = manifest;
  const why = (text: string) => ({ version, why: text });
  const [input, ...others] = inputs;
  const names = learnable.columns.map(({ name }) => name);
  const isSame =
    others.length === 0 &&
    input?.datatype === 'FP32' &&
    (input.columns ?? (names.length === 1 ? names : [])).join() === names.join();
  if (input === undefined || !isSame) return why('It takes other columns than the declaration has now.');
  const output = outputs.find(({ name }) => name === learnable.output);
  const width = output?.shape.length === 2 ? (output.shape[1] ?? 1) : 1;
  const widest = definition.task === 'classification' ? 2 : 1;
  if (output === undefined || !output.datatype.startsWith('FP') || width < 1 || width > widest)
    return why('Its output is not the one number of a row that is compared.');
  if (graph.bytes === undefined) return why('Its artifact is gone.');
  if (input.shape[0] !== -1) return why('Its graph takes one row at a time.');
  const answers = await graph.use(graph.bytes, (session) =>
    answersOf(session, { input: input.name, output: output.name }, set, width),
  );
  if (answers.some((answer) => !Number.isFinite(answer)))
    return why('It answers a row with no finite number.');
  return { version, answers };
}
