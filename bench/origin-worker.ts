import { eq, max, sum } from 'drizzle-orm';
import { Hono } from 'hono';
import { connect } from '../src/storage/postgres/connect.ts';
import { products, purchases } from '../test/support/catalog/tables.ts';

interface Bindings {
  readonly DATABASE_URL: string;
  readonly DATABASE_ENDPOINT: string;
}

let db: ReturnType<typeof connect> | undefined;
const databaseOf = ({ DATABASE_URL: url, DATABASE_ENDPOINT: endpoint }: Bindings) => {
  db ??= connect({ url, endpoint });
  return db;
};

/** The floors: the statements of one product page without a cache, and a bare write of one product. */
export default new Hono<{ Bindings: Bindings }>()
  .get('/v1/products/:sku', async (c) => {
    const sku = c.req.param('sku');
    const database = databaseOf(c.env);
    const [[row], [sold]] = await database.batch([
      database.select().from(products).where(eq(products.sku, sku)),
      database
        .select({ units: sum(purchases.quantity).mapWith(Number), lastAt: max(purchases.occurredAt) })
        .from(purchases)
        .where(eq(purchases.sku, sku)),
    ]);
    return c.json({ ...row, sold });
  })
  .put('/v1/products/:sku', async (c) => {
    const sku = c.req.param('sku');
    const values: { description: string; unitPrice: number } = await c.req.json();
    const database = databaseOf(c.env);
    await database
      .insert(products)
      .values({ sku, ...values })
      .onConflictDoUpdate({ target: products.sku, set: values });
    return c.json({ sku, ...values });
  });
