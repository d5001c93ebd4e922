import type { Services } from '../services.ts';
import type { Env } from '../env.ts';

/** What every handler finds in hono's context. */
export interface AppEnv {
  Bindings: Env;
  Variables: {
    services: Services;
    requestId: string;
  };
}
