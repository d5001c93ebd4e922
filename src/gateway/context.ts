import type { Env } from '../env.ts';
import type { Services } from '../services.ts';

/** What every handler finds in hono's context. */
export interface AppEnv {
  Bindings: Env;
  Variables: {
    services: Services;
    requestId: string;
  };
}
