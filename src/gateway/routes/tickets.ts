import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Holder } from '../../define/principal.ts';
import { holderOf } from '../audit/action.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { keySecurity, problem } from '../openapi.ts';
import { TICKET_PATHS, TICKET_S, type TicketPath } from '../principals/ticket.ts';

const BODY_BYTES_MAX = 1_024;
const Wanted = z.strictObject({ path: z.enum(TICKET_PATHS) });
const Ticket = z
  .object({
    ticket: z.string(),
    path: z.enum(TICKET_PATHS),
    expiresAt: z.string(),
  })
  .openapi('Ticket');

export interface TicketPorts {
  readonly issue: (
    path: TicketPath,
    holder: Holder,
  ) => { readonly text: string; readonly expiresAtMs: number };
}

/** Gives tickets for paths that a browser reads without headers. */
export function registerTickets(app: OpenAPIHono<AppEnv>, _: Gateway, ticketsOf: PortsOf<TicketPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/tickets',
    operationId: 'createTicket',
    summary: 'Gives a ticket that opens one path in place of the key, for an EventSource of a browser',
    tags: ['events'],
    security: keySecurity,
    request: { body: { required: true, content: { 'application/json': { schema: Wanted } } } },
    responses: {
      201: {
        description: `Send it as the parameter \`ticket\` of the path within ${TICKET_S} s.`,
        content: { 'application/json': { schema: Ticket } },
      },
      400: problem('The body is not valid, or the path takes no ticket.'),
    },
  });
  app.post('/v1/tickets', async (c) => {
    const body = await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
    const { path } = parsed(Wanted, body);
    const { text, expiresAtMs } = ticketsOf(c).issue(path, holderOf(c));
    const expiresAt = new Date(expiresAtMs).toISOString();
    return c.json({ ticket: text, path, expiresAt }, 201, { 'cache-control': 'no-store' });
  });
}
