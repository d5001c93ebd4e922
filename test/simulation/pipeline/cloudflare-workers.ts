import { registerHooks } from 'node:module';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';

/** What the platform gives a Durable Object's class: the fields that its constructor fills. */
const CLOUDFLARE_WORKERS = `data:text/javascript,${encodeURIComponent(
  'export class DurableObject { constructor(ctx, env) { this.ctx = ctx; this.env = env; } }',
)}`;

/** Lets the Durable Objects' own code run in Node. To be called before they are imported. */
export function provideCloudflareWorkers(): void {
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'cloudflare:workers'
        ? { url: CLOUDFLARE_WORKERS, shortCircuit: true }
        : next(specifier, context),
  });
}

export interface ObjectStorage {
  readonly storage: DurableObjectStorage;
  readonly rows: (query: string) => Record<string, unknown>[];
  /** When the object's alarm fires, in milliseconds since the Unix epoch; null for never. */
  alarmAt: number | null;
  readonly close: () => void;
}

/** An object's own storage on SQLite, as far as the objects here use it. */
export function objectStorage(): ObjectStorage {
  const database = new DatabaseSync(':memory:');
  const exec = (text: string, ...values: SQLInputValue[]) => {
    const statement = database.prepare(text);
    if (/^\s*select|\breturning\b/i.test(text)) {
      const rows = statement.all(...values);
      return {
        toArray: () => rows,
        one: () => rows[0],
        rowsWritten: 0,
        [Symbol.iterator]: () => rows.values(),
      };
    }
    return { toArray: () => [], one: () => undefined, rowsWritten: Number(statement.run(...values).changes) };
  };
  const transactionSync = <T>(closure: () => T): T => {
    database.exec('savepoint closure');
    try {
      const result = closure();
      database.exec('release closure');
      return result;
    } catch (error) {
      database.exec('rollback to closure');
      database.exec('release closure');
      throw error;
    }
  };
  const own: ObjectStorage = {
    storage: {
      sql: { exec },
      transactionSync,
      getAlarm: async () => own.alarmAt,
      setAlarm: async (at: number) => {
        own.alarmAt = at;
      },
    } as unknown as DurableObjectStorage,
    rows: (query) => database.prepare(query).all(),
    alarmAt: null,
    close: () => database.close(),
  };
  return own;
}
