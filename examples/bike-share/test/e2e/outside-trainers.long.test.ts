import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { makeBundle, writeBundleFolder } from '../../../../scripts/models/bundle.ts';
import { datasetOrigin } from '../../../../scripts/models/dataset-origin.ts';
import { hasPython, pythonEnvironment } from '../../../../test/conformance/python.ts';
import { startCli } from '../../../../test/support/node/cli.ts';
import { partOf } from '../../../../test/support/node/part.ts';
import { type Stack, startStack } from '../../../../test/support/node/stack.ts';
import { departuresTomorrow } from '../../catalog/models.ts';
import { BIKE_SHARE } from '../served.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const OUTSIDE = join(ROOT, 'examples/bike-share/outside');
const MODEL = departuresTomorrow.name;
/** 60 days, the newest two days ago. */
const [DAYS, RIDES_A_DAY, STATIONS] = [60, 120, 12];

/** The programs of `outside/`, each with the Python modules that it needs. */
const TRAINERS: readonly (readonly [program: string, ...modules: string[]])[] = [
  ['scikit_learn_model.py', 'sklearn', 'skl2onnx'],
  ['lightgbm_model.py', 'lightgbm', 'onnxmltools'],
  ['xgboost_model.py', 'xgboost', 'onnxmltools'],
  ['pytorch_model.py', 'torch', 'onnxscript'],
];

let stack: Stack;
const folder = mkdtempSync(join(tmpdir(), 'millrace-outside-'));
const pulled = join(folder, 'dataset');

/** The command line against the stack; fails with what it wrote. */
async function cli(...args: string[]): Promise<string> {
  const { code, text } = await startCli(stack.url.origin, ...args).ended;
  expect(code, text).toBe(0);
  return text;
}

beforeAll(async () => {
  // Station n has a share of the rides that grows with n, and half as many on days 5 and 6 of each week.
  const history = `
    insert into millrace.events (source, id, type, occurred_at, recorded_at, data, batch)
    select '/old', m_day || '-' || n, 'bikes.ride.v1', m_at, m_at + interval '1 second',
      jsonb_build_object('rider', gen_random_uuid(), 'plan', 'member', 'bike', 'B1', 'minutes', 10 + n % 9,
        'startStation', 1 + m_draw % ${STATIONS}, 'startDock', 1, 'endStation', 1 + n % ${STATIONS}, 'endDock', 2),
      gen_random_uuid()
    from (
      select m_day, n, floor(sqrt((n * 7919 + m_day * 104729) % ${STATIONS * STATIONS}))::int as m_draw,
        date_trunc('day', now()) - interval '${DAYS + 2} days' + m_day * interval '1 day' + n * interval '10 minutes' as m_at
      from generate_series(0, ${DAYS - 1}) m_day, generate_series(1, ${RIDES_A_DAY}) n
      where m_day % 7 < 5 or n % 2 = 0
    ) m_all`;
  stack = await startStack({}, { served: BIKE_SHARE, existing: [history] });
  const made = await cli('datasets', 'create', MODEL);
  const [, id = ''] = /The dataset ([0-9a-f]{32}) is ready/.exec(made) ?? [];
  await cli('datasets', 'pull', id, pulled);
}, 180_000);
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe('a model that another library trains on a pulled dataset', () => {
  for (const [program, ...modules] of partOf(TRAINERS, 3))
    it.skipIf(!hasPython(...modules, 'pandas', 'pyarrow', 'onnx'))(
      `answers after ${program}, as that library computes it`,
      async () => {
        const out = join(folder, program);
        const read = (name: string) => JSON.parse(readFileSync(join(out, name), 'utf8'));
        execFileSync('python3', [join(OUTSIDE, program), pulled, out], {
          env: pythonEnvironment(),
          stdio: 'pipe',
        });
        const metrics: { rmse: number; rmseOfMean: number } = read('metrics.json');
        expect(metrics.rmse).toBeLessThan(metrics.rmseOfMean);
        await bundle(out);
        await cli('models', 'push', MODEL, join(out, 'bundle'));

        const { version } = read('bundle/manifest.json');
        const golden: { inputs: { X: number[][] }; outputs: { variable: number[][] } } = read('golden.json');
        const rows = golden.inputs.X;
        const tensor = { name: 'X', datatype: 'FP32', shape: [rows.length, 4], data: rows.flat() };
        const answer = await stack.caller.ask('POST', `/v2/models/${MODEL}/versions/${version}/infer`, {
          json: { inputs: [tensor] },
        });
        const { outputs }: { outputs: { data: number[] }[] } = JSON.parse(answer.text);
        const expected = golden.outputs.variable.flat();
        expect(expected.length).toBeGreaterThan(10);
        for (const [index, value] of (outputs[0]?.data ?? []).entries())
          expect(Math.abs(value - (expected[index] ?? Number.NaN))).toBeLessThan(1e-3 * Math.max(1, value));
        const registered = await stack.caller.ask('GET', `/v1/models/${MODEL}`);
        expect(registered.json).toMatchObject({
          aliases: { champion: { version } },
          versions: expect.arrayContaining([
            expect.objectContaining({
              version,
              trainedFrom: expect.objectContaining({ dataset: expect.stringMatching(/^[0-9a-f]{32}$/) }),
            }),
          ]),
        });
      },
    );
});

/** What `npm run bundle` does, for the catalog of the bike-share. */
async function bundle(out: string): Promise<void> {
  const json = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));
  const { body, columnSource } = await makeBundle(departuresTomorrow, {
    onnx: Uint8Array.from(readFileSync(join(out, 'model.onnx'))),
    golden: json(join(out, 'golden.json')),
    metrics: z.record(z.string(), z.unknown()).parse(json(join(out, 'metrics.json'))),
    trainedFrom: datasetOrigin(json(join(pulled, 'manifest.json')), departuresTomorrow.name),
  });
  expect(columnSource).toBe('metadata');
  await writeBundleFolder(join(out, 'bundle'), body);
}
