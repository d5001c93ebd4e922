import { Hono } from 'hono';

/** The floors: what the same runtime and framework do for a route that does nothing, and for one that reads the body. */
export default new Hono()
  .get('/', (c) => c.json({}))
  .post('/', async (c) => {
    await c.req.arrayBuffer();
    return c.json({}, 202);
  });
