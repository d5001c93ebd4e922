import * as z from 'zod';
import type { Reporter } from '../../../scripts/progress.ts';
import { SEED_SOURCE } from '../seed/generator.ts';
import { MADE_UP_PREFIX } from '../seed/made-up.ts';
import { ImportError } from './failure.ts';
import { answerOf, type Server } from './server.ts';

/** What to do with the made-up shop in the database: `ask` the person at the terminal, if there is one. */
export type MadeUpChoice = 'ask' | 'keep' | 'remove';

/** The database behind the server, for what no route does. */
export interface ShopDatabase {
  query(text: string, params: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** Runs statements in one transaction. */
  transaction(statements: readonly { text: string; params: readonly unknown[] }[]): Promise<void>;
}

export interface MadeUpDeps {
  readonly reporter: Pick<Reporter, 'notice'>;
  /** Asks for a yes or no; null if there is no terminal. */
  readonly confirm: ((question: string) => Promise<boolean>) | null;
  /** Null where the environment names no database. */
  readonly database: () => ShopDatabase | null;
}

/** Rows of tables with both columns belong to the made-up shop by either. */
const LINE_TABLES = ['purchases', 'returns', 'product_views'];

/**
 * Warns of made-up events beside which real ones are about to be stored, and removes them if that is wanted.
 *
 * @param events how many the database holds.
 * @throws ImportError if they are to be removed and cannot be.
 */
export async function meetMadeUpShop(
  events: number,
  choice: MadeUpChoice,
  server: Server,
  { reporter, confirm, database }: MadeUpDeps,
): Promise<void> {
  if (events === 0 || choice === 'keep') return;
  const found = `The database holds the made-up shop (${events.toLocaleString('en-US')} events). Its ids begin with ${MADE_UP_PREFIX}, so no customer or product mixes made-up and real rows, but lists show both.`;
  if (choice === 'ask' && confirm === null) {
    reporter.notice(
      `${found} --made-up remove removes it first; --made-up keep keeps it without this warning.`,
    );
    return;
  }
  if (choice === 'ask' && !(await confirm?.(`${found} Remove it first?`))) return;
  await remove(server, await databaseBehind(server, database()), reporter);
}

/** @throws ImportError unless it is the database that the server uses. */
async function databaseBehind(server: Server, database: ShopDatabase | null): Promise<ShopDatabase> {
  if (database === null)
    throw new ImportError(
      'The made-up shop is removed by SQL, and no database is named: set DATABASE_URL (and DATABASE_ENDPOINT if the database has one), or run the import beside npm run dev.',
    );
  const [newest] = await database
    .query('select id from millrace.events where source = $1 order by seq desc limit 1', [SEED_SOURCE])
    .catch((error: unknown) => {
      throw new ImportError(
        `The made-up shop is removed by SQL, and its database does not answer: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
  const id = z.string().safeParse(newest?.['id']);
  if (id.success && answerOf(await server.find(SEED_SOURCE, id.data)) !== null) return database;
  throw new ImportError(
    'The made-up shop cannot be removed: the database of DATABASE_URL or of .millrace/ is not the one that the server uses. Set DATABASE_URL to that one.',
  );
}

/**
 * Deletes events, rows and quarantined events of the made-up shop. The triggers that capture other writers invalidate the
 * answers about them. The features are rebuilt from the history that remains.
 */
async function remove(
  server: Server,
  database: ShopDatabase,
  reporter: Pick<Reporter, 'notice'>,
): Promise<void> {
  reporter.notice('Removing the made-up shop.');
  const params = [MADE_UP_PREFIX];
  await database.transaction([
    ...LINE_TABLES.map((table) => ({
      text: `delete from ${table} where starts_with(sku, $1) or starts_with(customer_id, $1)`,
      params,
    })),
    { text: 'delete from products where starts_with(sku, $1)', params },
    { text: 'delete from customers where starts_with(id, $1)', params },
    { text: 'delete from millrace.quarantine where source = $1', params: [SEED_SOURCE] },
    {
      text: `delete from millrace.events
        where source = $2 or starts_with(data->>'sku', $1) or starts_with(data->>'customerId', $1)`,
      params: [MADE_UP_PREFIX, SEED_SOURCE],
    },
  ]);
  answerOf(
    await server.ask('the request to relay the removal', (client, once) =>
      client.post('/v1/admin/outbox/sweep', once),
    ),
  );
  for (let restart = true; ; restart = false) {
    const body = { rebuild: true, restart };
    const page = await server.ask('the request to rebuild the features', (client, once) =>
      client.post('/v1/admin/replay', { body, ...once }),
    );
    const state = answerOf(page)?.data.state;
    if (state === undefined || state === 'done') break;
  }
  reporter.notice(
    'The made-up shop is removed. Until you train the model again, its candidates include products of the made-up shop.',
  );
}
