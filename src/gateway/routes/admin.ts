import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { parsed } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity } from '../openapi.ts';
import { type ArtifactPorts, registerArtifacts } from './artifacts.ts';

const PipelineQuery = z.object({ source: z.string().max(512).optional() });
const Swept = z.object({ relayed: z.int() });
const Counts = z.record(z.string(), z.int());
const PipelineCounts = z.object({
  events: z.object({ stored: z.int() }),
  quarantine: Counts.openapi({ description: 'quarantined events that are open, by reason' }),
  outbox: z.object({ pending: z.int().openapi({ description: 'changes that are not relayed yet' }) }),
  features: z.object({ folded: Counts.openapi({ description: 'folded events, by entity' }) }),
  pruned: z
    .array(z.object({ target: z.string(), rows: z.int(), until: z.string() }))
    .openapi({ description: 'rows that retention has deleted, and the newest time among them' }),
});

export interface AdminPorts extends ArtifactPorts {
  /** Relays everything that was committed before the call. */
  readonly sweepOutbox: () => Promise<{ readonly relayed: number }>;
  /** Counts of every stage of the pipeline. With `source`, stages that know the source count only its events. */
  readonly pipeline: (source: string | undefined) => Promise<z.output<typeof PipelineCounts>>;
}

/** Takes artifacts of models, relays the outbox on demand, and shows the state of the pipeline. */
export function registerAdmin(
  app: OpenAPIHono<AppEnv>,
  gateway: Gateway,
  adminOf: PortsOf<AdminPorts>,
): void {
  registerArtifacts(app, gateway, adminOf);
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/outbox/sweep',
    operationId: 'sweepOutbox',
    summary: 'Relays all committed changes now',
    tags: ['admin'],
    security: keySecurity,
    responses: { 200: json('How many changes were relayed.', Swept) },
  });
  app.post('/v1/admin/outbox/sweep', async (c) => {
    const action = { action: 'outbox.sweep', target: 'outbox' };
    const answer: z.output<typeof Swept> = await gateway.audited(c, action, async () => {
      const result = await adminOf(c).sweepOutbox();
      return { result, after: result };
    });
    return c.json(answer);
  });

  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/pipeline',
    operationId: 'getPipelineCounts',
    summary:
      'Counts the stored events, the quarantine by reason, the pending changes, the folded events, and the rows that retention has deleted',
    tags: ['admin'],
    security: keySecurity,
    request: { query: PipelineQuery },
    responses: {
      200: json(
        'Counts. With `source`, the stored events and the quarantine are only those of this source.',
        PipelineCounts,
      ),
    },
  });
  app.get('/v1/admin/pipeline', async (c) => {
    const { source } = parsed(PipelineQuery, c.req.query());
    const state = await adminOf(c).pipeline(source);
    return c.json(state, 200, { 'cache-control': 'no-store' });
  });
}
