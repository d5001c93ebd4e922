import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import * as z from 'zod';
import { UsageError } from '../../command-line/options.ts';
import { momentOf, textOfFile, wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';

const LOOK_EVERY_MS = 500;
/** For one file: 100 MB at 2 Mbit/s. */
const FILE_MS = 400_000;

interface Wishes {
  readonly asOf?: string;
  readonly from?: string;
  readonly to?: string;
  readonly known: string;
  readonly seed: string;
  readonly wait?: boolean;
}

/** What `pull` writes beside the files. `create --again` reads the request in it. */
const Pulled = z.looseObject({ request: z.looseObject({ model: z.string() }) });

/** `datasets`: rows with labels for the training of a model. */
export function registerDatasets(program: Command): void {
  const datasets = program
    .command('datasets')
    .description('makes, lists, downloads and deletes training sets');
  registerCreate(datasets);
  datasets
    .command('list')
    .description('lists the datasets, the newest first')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/datasets');
      const rows = data.datasets.map(({ id, request, state, begunAt, progress, failure }) => [
        ...[
          id,
          request.model,
          failure === null ? state : failure.code,
          begunAt,
          progress.rows,
          progress.bytes,
        ],
      ]);
      cli.table(data, ['id', 'model', 'state', 'begun', 'rows', 'bytes'], rows);
    });
  datasets
    .command('pull')
    .description('downloads the files of a dataset that is ready, with its manifest')
    .argument('<id>')
    .argument('<folder>')
    .action(async (id: string, folder: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/datasets/{id}', { path: { id } });
      const { manifest } = data;
      if (manifest === null)
        throw new Error(`The dataset ${id} is ${data.state} and has no files to download.`);
      await mkdir(folder, { recursive: true });
      for (const file of manifest.files) {
        cli.reporter.notice(`${file.name}: ${file.rows} rows, ${file.bytes} bytes`);
        await download(cli, id, file, folder);
      }
      await writeFile(join(folder, 'manifest.json'), `${JSON.stringify(data, null, 2)}\n`);
      cli.print(data, `Wrote ${manifest.files.length} files and manifest.json to ${folder}.`);
    });
  datasets
    .command('delete')
    .description('cancels or deletes a dataset')
    .argument('<id>')
    .action(async (id: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.delete('/v1/admin/datasets/{id}', { path: { id } });
      cli.print(data, `The dataset ${id} is being deleted.`);
    });
}

function registerCreate(datasets: Command): void {
  datasets
    .command('create')
    .description('makes the dataset of a model, and waits until it is ready')
    .argument('[model]')
    .option('--as-of <moment>', 'what was stored later does not count (a minute ago)')
    .option('--from <moment>', 'label events before it do not count')
    .option('--to <moment>', 'the end of the label events (that of the last one)')
    .option('--known <when>', 'row, or snapshot for a history that was imported', 'row')
    .option('--seed <number>', 'decides which items are sampled', '1')
    .option('--again <manifest>', 'makes the dataset of a manifest.json again')
    .option('--no-wait', 'ends once the worker has begun')
    .action(async (model: string | undefined, wishes: Wishes & { again?: string }, command: Command) => {
      const cli = new Cli(command);
      const body = wishes.again === undefined ? requestOf(model, wishes) : requestIn(wishes.again);
      const { data: begun } = await cli.client.post('/v1/admin/datasets', { body });
      if (wishes.wait === false) return cli.print(begun, `The dataset ${begun.id} is being made.`);
      const made = await ready(cli, begun.id);
      const { train, validation, test } = made.manifest?.rows ?? { train: 0, validation: 0, test: 0 };
      cli.print(
        made,
        `The dataset ${made.id} is ready: ${train} rows to train with, ${validation} to validate, ${test} to test. Its digest is ${made.manifest?.digest}.`,
      );
    });
}

function requestOf(model: string | undefined, { asOf, from, to, known, seed }: Wishes) {
  if (model === undefined) throw new UsageError('Name a model, or a manifest with --again.');
  if (known !== 'row' && known !== 'snapshot')
    throw new UsageError('--known is "row" or "snapshot": what counts for the features of a row.');
  const knowledge: 'row' | 'snapshot' = known;
  return {
    ...{ model, knowledge, seed: wholeNumberOf('--seed', seed, { min: 0 }) },
    ...(asOf === undefined ? {} : { asOf: momentOf('--as-of', asOf) }),
    ...(from === undefined ? {} : { from: momentOf('--from', from) }),
    ...(to === undefined ? {} : { to: momentOf('--to', to) }),
  };
}

function requestIn(file: string) {
  const parsed = Pulled.safeParse(JSON.parse(textOfFile('--again', file)));
  if (!parsed.success) throw new UsageError(`${file} is no manifest that "datasets pull" wrote.`);
  return parsed.data.request;
}

async function ready(cli: Cli, id: string) {
  const startedAt = performance.now();
  for (;;) {
    const { data } = await cli.client.get('/v1/admin/datasets/{id}', { path: { id } });
    const { parts, partsMade, labelEvents } = data.progress;
    cli.reporter.progress({
      ...{ unit: 'label events', done: labelEvents, doneByRun: labelEvents, fractionAtStart: 0 },
      fraction: parts === 0 ? 0 : partsMade / parts,
      elapsedMs: performance.now() - startedAt,
    });
    if (data.state === 'ready') {
      cli.reporter.finish();
      return data;
    }
    if (data.failure !== null) throw new Error(`${data.failure.code}: ${data.failure.detail}`);
    if (data.state === 'deleting') throw new Error(`The dataset ${id} was deleted.`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Downloads a file under another name, and gives it its own once its digest is right. */
async function download(
  { client }: Cli,
  id: string,
  { name, sha256 }: { readonly name: string; readonly sha256: string },
  folder: string,
): Promise<void> {
  const signal = AbortSignal.timeout(FILE_MS);
  const path = { id, file: name };
  const response = await client.fetch('/v1/admin/datasets/{id}/files/{file}', { path, signal });
  if (response.body === null) throw new Error(`The worker sent nothing for ${name}.`);
  const hash = createHash('sha256');
  const hashed = new Transform({
    transform: (chunk: Uint8Array, _, done) => {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const partial = join(folder, `${name}.part`);
  await pipeline(Readable.from(response.body), hashed, createWriteStream(partial), { signal });
  if (hash.digest('hex') !== sha256)
    throw new Error(`${name} did not arrive as the manifest has it. Pull again.`);
  await rename(partial, join(folder, name));
}
