import type { Env as WorkerEnv } from '../../../src/composition/env.ts';

declare global {
  namespace Cloudflare {
    interface Env extends WorkerEnv {}
  }
}
