/** Trains the model of ride lengths. The rides and the seed decide everything: the same ones give the same bytes. */
import { Evaluator } from '../../../src/inference/evaluator/evaluator.ts';
import type { TrainingRuntime } from '../../../src/training/onnx/runtime.ts';
import { finishTraining, runTraining } from '../../../src/training/run.ts';
import { rideMinutes } from '../catalog/models.ts';
import { COLUMNS, type Ride, type TrainingRow, trainingRows } from './rows.ts';

/** Longer rides are left out: a bike was not returned. */
const MINUTES_MAX = 120;
/** The newest rides, which the network is judged by and never sees. */
const HELD_OUT_SHARE = 0.25;
const ROWS_MIN = 200;
const GOLDEN_ROWS = 8;
/** Both runtimes work in float32 and add in another order. */
const TOLERANCE = 1e-4;

export interface TrainedRideMinutes {
  readonly onnx: Uint8Array<ArrayBuffer>;
  readonly golden: {
    readonly inputs: { readonly features: readonly (readonly number[])[] };
    readonly outputs: { readonly minutes: readonly (readonly number[])[] };
    readonly tolerance: number;
  };
  readonly rows: number;
  /** RFC 3339: of the first and the last ride. */
  readonly from: string;
  readonly to: string;
  /** Mean absolute errors in minutes on the held-out rides, of the model and of the training rides' mean. */
  readonly metrics: { readonly mae_minutes: number; readonly baseline_mae_minutes: number };
}

/** @throws Error where there are too few rides to learn from; TrainingRefused. */
export async function trainRideMinutes(
  rides: readonly Ride[],
  { seed, runtime }: { seed: number; runtime: TrainingRuntime },
): Promise<TrainedRideMinutes> {
  const rows = trainingRows(rides.filter(({ minutes }) => minutes <= MINUTES_MAX));
  const training = rows.slice(0, Math.floor(rows.length * (1 - HELD_OUT_SHARE)));
  const heldOut = rows.slice(training.length);
  if (training.length < ROWS_MIN)
    throw new Error(
      `There are ${rows.length} rides of riders who rode before: too few to train on; at least ${Math.ceil(ROWS_MIN / (1 - HELD_OUT_SHARE))} are needed.`,
    );
  const set = {
    names: COLUMNS,
    columns: COLUMNS.map((_, at) => Float32Array.from(training, ({ features }) => features[at] ?? 0)),
    labels: Float32Array.from(training, ({ minutes }) => minutes),
    trainingRows: training.length,
  };
  const state = await runTraining(rideMinutes.training, set, seed, runtime);
  const metadata = { columns: COLUMNS.join(','), seed: String(seed) };
  const onnx = finishTraining(state, metadata, NAMES);
  const predict = predictor(onnx);
  const mean = training.reduce((sum, { minutes }) => sum + minutes, 0) / training.length;
  const golden = heldOut.slice(0, GOLDEN_ROWS);
  return {
    onnx,
    golden: {
      inputs: { features: golden.map(({ features }) => [...Float32Array.from(features)]) },
      outputs: { minutes: predict(golden).map((minutes) => [minutes]) },
      tolerance: TOLERANCE,
    },
    rows: rows.length,
    from: moment(rows[0]),
    to: moment(rows.at(-1)),
    metrics: {
      mae_minutes: meanError(heldOut, predict(heldOut)),
      baseline_mae_minutes: meanError(
        heldOut,
        heldOut.map(() => mean),
      ),
    },
  };
}

/** The graph's input and output, as the catalog declares them. */
const NAMES = { input: 'features', output: 'minutes' };

/** Answers as the worker does. */
function predictor(onnx: Uint8Array): (rows: readonly TrainingRow[]) => number[] {
  const evaluator = Evaluator.read(onnx, {
    inputs: [{ name: NAMES.input, datatype: 'FP32', shape: [-1, COLUMNS.length] }],
    outputs: [{ name: NAMES.output, datatype: 'FP32', shape: [-1, 1] }],
  });
  return (rows) => {
    const features = { datatype: 'FP32', shape: [rows.length, COLUMNS.length], data: flat(rows) } as const;
    return Array.from(evaluator.run({ [NAMES.input]: features })[NAMES.output]?.data ?? [], Number);
  };
}

function flat(rows: readonly TrainingRow[]): Float32Array {
  return Float32Array.from(rows.flatMap(({ features }) => features));
}

function meanError(rows: readonly TrainingRow[], predicted: readonly number[]): number {
  const sum = rows.reduce(
    (total, { minutes }, index) => total + Math.abs(minutes - (predicted[index] ?? 0)),
    0,
  );
  return sum / rows.length;
}

function moment(row: TrainingRow | undefined): string {
  return new Date(row?.at ?? 0).toISOString();
}
