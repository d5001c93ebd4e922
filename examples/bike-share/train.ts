/**
 * The recipe of the model "ride-minutes", for `npm run train -- ride-minutes [--seed 1]`: reads the rides of the
 * database in DATABASE_URL (and DATABASE_ENDPOINT), trains as a run of the worker does, and writes the bundle's folder.
 */
import { neon, neonConfig } from '@neondatabase/serverless';
import * as z from 'zod';
import { readOptions } from '../../scripts/command-line/options.ts';
import { runCommand } from '../../scripts/command-line/run.ts';
import { databaseUrlOf, wholeNumberOf } from '../../scripts/command-line/values.ts';
import { writeTrained } from '../../scripts/models/bundle.ts';
import { type Ride, trainFromRides } from './training/rides.ts';

/** Rows of a query: about a megabyte of answer. */
const PAGE_ROWS = 20_000;

const Page = z.array(
  z.object({
    event_seq: z.coerce.number(),
    rider: z.string(),
    minutes: z.coerce.number(),
    at: z.coerce.number(),
  }),
);

async function readRides(databaseUrl: string): Promise<Ride[]> {
  const sql = neon(databaseUrl);
  const rides: Ride[] = [];
  for (let after = 0; ; ) {
    const page = Page.parse(
      await sql`select event_seq, rider_id as rider, minutes, floor(extract(epoch from occurred_at) * 1000) as at
        from rides where event_seq > ${after} order by event_seq limit ${PAGE_ROWS}`,
    );
    rides.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_ROWS) return rides;
    after = last.event_seq;
  }
}

async function main(): Promise<void> {
  const { values } = readOptions({
    command: 'npm run train -- ride-minutes',
    options: {
      out: { type: 'string', default: '.millrace/models/ride-minutes' },
      seed: { type: 'string', default: '1' },
    },
  });
  const seed = wholeNumberOf('--seed', values.seed, { min: 0 });
  const url = databaseUrlOf(process.env['DATABASE_URL']);
  const endpoint = process.env['DATABASE_ENDPOINT'];
  if (url === undefined) throw new Error('There is no database: start npm run dev, or set DATABASE_URL.');
  if (endpoint) neonConfig.fetchEndpoint = endpoint;
  const { bundle, run, manifest } = await trainFromRides(await readRides(url), { seed });
  console.log(`Trained on the rows of ${manifest.rows.train + manifest.rows.validation} rides.`);
  console.log(bundle.card);
  if (run.evaluation?.verdict !== 'better')
    throw new Error('The model is no better than the mean, so no bundle was written.');
  await writeTrained(bundle, values.out);
  console.log(`Wrote version ${bundle.manifest.version} to ${values.out}.`);
}

await runCommand(main);
