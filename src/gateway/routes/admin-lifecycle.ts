import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { StoreReport } from '../../operations/lifecycle/report.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity } from '../openapi.ts';

export interface LifecycleRoutePorts {
  readonly now: () => number;
  /** Ends within two seconds, whatever hangs. */
  readonly report: () => Promise<{
    readonly stores: readonly StoreReport[];
    readonly walk: {
      readonly beganAt: string | null;
      readonly endedAt: string | null;
      readonly isUnderWay: boolean;
    } | null;
  }>;
}

const Moment = z.string().nullable();
const StoreShown = z.object({
  store: z.string(),
  place: z.enum(['postgres', 'object', 'r2', 'elsewhere']),
  bound: z.string().openapi({ description: 'what bounds it; an entry of the retention is in backquotes' }),
  declared: z
    .array(z.object({ entry: z.string(), days: z.int() }))
    .openapi({ description: 'what the catalog declares' }),
  items: z.int().nullable().openapi({
    description:
      'rows of a table, as Postgres estimates them; objects of R2; objects of a class that were asked; null: unknown',
  }),
  bytes: z.int().nullable().openapi({ description: 'null: unknown' }),
  oldest: Moment.openapi({ description: 'the moment of what is kept for longest; null: unknown' }),
  cleaned: z
    .array(z.object({ target: z.string(), removed: z.int(), until: z.string(), at: Moment }))
    .openapi({
      description:
        'what retention has removed in all, the newest moment among it, and when it did last (null: before that was recorded)',
    }),
});
const Lifecycle = z
  .object({
    at: z.iso.datetime(),
    walk: z
      .object({ beganAt: Moment, endedAt: Moment, isUnderWay: z.boolean() })
      .nullable()
      .openapi({ description: 'the walk that counts R2, once a day; null before the first, or if unknown' }),
    stores: z.array(StoreShown),
  })
  .openapi('Lifecycle');

/** Shows what is kept where, what bounds it, and what retention has removed. A part that does not answer is null. */
export function registerLifecycle(
  app: OpenAPIHono<AppEnv>,
  _: Gateway,
  portsOf: PortsOf<LifecycleRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/lifecycle',
    operationId: 'getLifecycle',
    summary: 'Shows every store: how long it is kept, how large it is, and what retention has removed of it',
    tags: ['admin'],
    security: keySecurity,
    responses: { 200: json('The stores. It answers within two seconds.', Lifecycle) },
  });
  app.get('/v1/admin/lifecycle', async (c) => {
    const { now, report } = portsOf(c);
    const { stores, walk } = await report();
    const shown = stores.map(({ declared, cleaned, ...store }) => ({
      ...{ ...store, declared: [...declared], cleaned: [...cleaned] },
    }));
    return c.json({ at: new Date(now()).toISOString(), walk, stores: shown }, 200, {
      'cache-control': 'no-store',
    });
  });
}
