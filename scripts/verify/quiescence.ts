import { sql } from 'drizzle-orm';
import * as z from 'zod';
import { ask } from './client.ts';
import { depOf, type History } from './history.ts';
import type { Origin } from './origin.ts';
import { allOf, type Products } from './products.ts';
import { CONTINENTS, readOnce } from './readers.ts';
import type { Runtime } from './runtime.ts';

const Row = z.object({ sku: z.string(), unit_price: z.coerce.number() });
/** The first sweep may join one that began before the last commit failed half-way. */
const SWEEPS = 2;

/**
 * Once nothing is written any more: nothing acknowledged is lost in the database, and strong reads of everything
 * through every isolate show what is there, also of writes that were not acknowledged.
 */
export async function lookAtTheEnd(context: {
  readonly history: History;
  readonly runtime: Runtime;
  readonly origin: Origin;
  readonly products: Products;
  readonly sourceBoundMs: number;
  readonly lastTokens: readonly { sku: string; token: string }[];
}): Promise<void> {
  const { history, runtime, origin, products } = context;
  const headers = runtime.headersFrom(CONTINENTS[0]);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const answer = await ask(runtime.urlOf(0, '/v1/admin/outbox/sweep'), { method: 'POST', headers });
    if (typeof answer === 'string' || answer.status !== 200)
      history.breaches.push(`At the end the outbox could not be relayed: ${JSON.stringify(answer)}`);
  }
  const rows = z.array(Row).parse((await origin.db.execute(sql`select sku, unit_price from products`)).rows);
  const stored = new Map(rows.map((row) => [row.sku, row.unit_price]));
  for (const sku of allOf(products)) {
    const writes = history.writes.get(depOf(sku)) ?? [];
    const known = writes.findLast(({ committed }) => committed !== undefined);
    const kept = stored.get(sku);
    const mayBeGone = writes.slice((known?.version ?? 1) - 1).some(({ absent }) => absent);
    if (known !== undefined && !mayBeGone && (kept ?? 0) < known.version)
      history.breaches.push(
        `Version ${known.version} of ${sku} was committed, and the database has ${kept}.`,
      );
    for (let isolate = 0; isolate < runtime.isolates; isolate += 1) {
      const answer = await readOnce(
        context,
        { kind: 'product', sku },
        { process: 'last look', isolate, level: 'strong' },
      );
      const read = Row.pick({ unit_price: true }).safeParse({
        unit_price: Reflect.get(Object(answer?.body), 'unitPrice'),
      });
      const shown = read.success ? read.data.unit_price : undefined;
      if (answer === undefined || shown !== kept)
        history.breaches.push(
          `At the end isolate ${isolate} shows ${shown} of ${sku}; the database has ${kept}.`,
        );
    }
  }
}
