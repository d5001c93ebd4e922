/** The database and the unreliable way to it, in a thread of their own: PGlite computes in the thread that has it. */
import { parentPort, workerData } from 'node:worker_threads';
import * as z from 'zod';
import { startDevDatabase } from '../dev/database.ts';
import { startUnreliableProxy } from './unreliable-proxy.ts';

const { databaseUrl, migrationsDir } = z
  .object({ databaseUrl: z.string().optional(), migrationsDir: z.string() })
  .parse(workerData);
const where = databaseUrl === undefined ? { dataDir: 'memory://' } : { databaseUrl };
const database = await startDevDatabase({ ...where, migrationsDir });
const proxy = await startUnreliableProxy(database.endpoint);

parentPort?.on('message', (message: unknown) => {
  if (message === 'calm') proxy.calm();
  if (message === 'close') void close();
});
parentPort?.postMessage({
  connectionString: database.connectionString,
  directEndpoint: database.endpoint,
  unreliableEndpoint: proxy.endpoint,
});

async function close(): Promise<void> {
  await proxy.close();
  await database.close();
  parentPort?.postMessage({ fates: [...proxy.fates] });
  parentPort?.close();
}
