import { Hono } from 'hono';

/** The floor: what the same runtime and framework do for a route that does nothing. */
export default new Hono().get('/', (c) => c.json({}));
