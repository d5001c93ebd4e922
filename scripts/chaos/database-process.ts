/**
 * The database's endpoint in a process of its own: an experiment may stop it, and what PGlite computes takes no time of the
 * load. It ends with the process that has started it.
 */
import * as z from 'zod';
import { startDevDatabase } from '../dev/database.ts';

const { databaseUrl, dataDir, migrationsDir } = z
  .object({ databaseUrl: z.string().optional(), dataDir: z.string().optional(), migrationsDir: z.string() })
  .parse(JSON.parse(process.argv[2] ?? '{}'));
const where = databaseUrl === undefined ? { dataDir: dataDir ?? 'memory://' } : { databaseUrl };
const { connectionString, endpoint, close } = await startDevDatabase({ ...where, migrationsDir });

process.on('disconnect', () => void close().finally(() => process.exit()));
process.send?.({ connectionString, endpoint });
