/** Trains the model of ride lengths. The rides and the seed decide everything: the same ones give the same bytes. */
import { type Network, scoreRows, TRAINER_DEFAULTS, trainNetwork } from '../../../src/training/network.ts';
import { writeOnnx } from '../../../src/training/onnx-writer.ts';
import { COLUMNS, type Ride, type TrainingRow, trainingRows } from './rows.ts';

/** Rides are taken to be at most this long. The network answers between 0 and 1, so lengths are divided by it. */
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
    readonly outputs: { readonly minutes: readonly number[] };
    readonly tolerance: number;
  };
  readonly rows: number;
  /** RFC 3339: of the first and the last ride. */
  readonly from: string;
  readonly to: string;
  /** Mean absolute errors in minutes on the held-out rides, of the model and of the training rides' mean. */
  readonly metrics: { readonly mae_minutes: number; readonly baseline_mae_minutes: number };
}

/** @throws Error where there are too few rides to learn from. */
export function trainRideMinutes(rides: readonly Ride[], { seed }: { seed: number }): TrainedRideMinutes {
  const rows = trainingRows(rides.filter(({ minutes }) => minutes <= MINUTES_MAX));
  const training = rows.slice(0, Math.floor(rows.length * (1 - HELD_OUT_SHARE)));
  const heldOut = rows.slice(training.length);
  if (training.length < ROWS_MIN)
    throw new Error(
      `There are ${rows.length} rides of riders who rode before: too few to train on; at least ${Math.ceil(ROWS_MIN / (1 - HELD_OUT_SHARE))} are needed.`,
    );
  const network = trainNetwork(
    {
      features: flat(training),
      labels: training.map(({ minutes }) => minutes / MINUTES_MAX),
      weights: training.map(() => 1),
      rows: training.length,
    },
    COLUMNS.length,
    { ...TRAINER_DEFAULTS, hidden: 8, epochs: 12, seed },
  );
  const mean = training.reduce((sum, { minutes }) => sum + minutes, 0) / training.length;
  const golden = heldOut.slice(0, GOLDEN_ROWS);
  return {
    onnx: Uint8Array.from(
      writeOnnx(
        network,
        { columns: COLUMNS.join(','), seed: String(seed) },
        { name: 'minutes', factor: MINUTES_MAX },
      ),
    ),
    golden: {
      inputs: { features: golden.map(({ features }) => [...Float32Array.from(features)]) },
      outputs: { minutes: predict(network, golden) },
      tolerance: TOLERANCE,
    },
    rows: rows.length,
    from: moment(rows[0]),
    to: moment(rows.at(-1)),
    metrics: {
      mae_minutes: meanError(heldOut, predict(network, heldOut)),
      baseline_mae_minutes: meanError(
        heldOut,
        heldOut.map(() => mean),
      ),
    },
  };
}

function predict(network: Network, rows: readonly TrainingRow[]): number[] {
  return [...scoreRows(network, flat(rows))].map((score) => Math.fround(score * MINUTES_MAX));
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
