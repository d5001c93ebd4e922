import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { Failure } from '../../platform/failure.ts';
import { Instant } from '../../platform/instant.ts';
import type { AuditFilter, AuditLink, RecordedAction } from '../../storage/postgres/audit.ts';
import { verifyChain } from '../audit/chain.ts';
import { parsed } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const PAGE_MAX = 200;
/** The most entries of one verification: at 128 KB each they would fill 128 MB, and nearly all have less than 1 KB. */
const VERIFY_MAX = 1_000;
const VERIFY_DEFAULT = 500;
const NOT_STORED = { 'cache-control': 'no-store' };

const Filter = z.object({
  principal: z.string().min(1).max(512).optional().openapi({ description: 'such as `key:bootstrap`' }),
  action: z.string().min(1).max(128).optional(),
  from: Instant.optional().openapi({ description: 'the first moment' }),
  to: Instant.optional().openapi({ description: 'the moment after the last' }),
  before: z.coerce.number().int().positive().optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_MAX).default(50),
});
const Entry = z
  .object({
    id: z.int(),
    at: z.string(),
    principal: z.string(),
    action: z.string(),
    target: z.string(),
    outcome: z.enum(['begun', 'done', 'failed']),
    begun: z
      .int()
      .nullable()
      .openapi({ description: 'the entry that began the action, where this one ends it' }),
    detail: z.unknown(),
    before: z.unknown(),
    after: z.unknown(),
    hash: z.string(),
  })
  .openapi('AuditEntry');
const Anchor = z.object({ id: z.int(), hash: z.string() });
const Step = z.object({
  from: z.coerce.number().int().positive().optional(),
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  limit: z.coerce.number().int().min(1).max(VERIFY_MAX).default(VERIFY_DEFAULT),
});
const Verdict = z.object({
  checked: z.int(),
  verifiedTo: Anchor.nullable(),
  isComplete: z.boolean(),
  broken: z
    .object({ id: z.int(), reason: z.enum(['content', 'link', 'anchor']) })
    .nullable()
    .openapi({ description: 'the first entry that does not fit: its content, its link, or the anchor' }),
});

const Page = z.object({
  from: z.coerce.number().int().positive().default(1).openapi({ description: 'the id of the first entry' }),
  limit: z.coerce.number().int().min(1).max(VERIFY_MAX).default(VERIFY_DEFAULT),
});
const Links = z.object({
  links: z.array(
    z.object({
      id: z.int(),
      previousHash: z.string().openapi({ description: 'the hash of the entry before; empty for the first' }),
      hash: z.string().openapi({ description: 'SHA-256, in hexadecimal, of `previousHash` and `content`' }),
      content: z.string().openapi({
        description:
          'JSON of id, moment, principal, action, target, outcome, begun, detail, before and after',
      }),
    }),
  ),
  next: z.int().nullable(),
});

/** All of them throw Failure `database_unavailable`. */
export interface AuditPorts {
  /** The newest first. */
  readonly list: (filter: AuditFilter) => Promise<RecordedAction[]>;
  /** In the order of the chain, from the id `from` on. */
  readonly chain: (page: { readonly from: number; readonly limit: number }) => Promise<AuditLink[]>;
}

/** Shows the audit log, and verifies its chain in steps. */
export function registerAudit(app: OpenAPIHono<AppEnv>, _: Gateway, auditOf: PortsOf<AuditPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/audit',
    operationId: 'listAuditEntries',
    summary: 'Lists what callers of /v1/admin changed, the newest first',
    tags: ['admin'],
    security: keySecurity,
    request: { query: Filter },
    responses: {
      200: {
        description: 'Pass `next` as `before` to get the next page; it is null on the last page.',
        content: {
          'application/json': { schema: z.object({ entries: z.array(Entry), next: z.int().nullable() }) },
        },
      },
      503: problem('The database does not answer.'),
    },
  });
  app.get('/v1/admin/audit', async (c) => {
    const filter = parsed(Filter, c.req.query());
    const entries = await auditOf(c).list(filter);
    const next = entries.length === filter.limit ? (entries.at(-1)?.id ?? null) : null;
    return c.json({ entries, next }, 200, NOT_STORED);
  });
  registerChain(app, auditOf);
  registerVerification(app, auditOf);
}

function registerChain(app: OpenAPIHono<AppEnv>, auditOf: PortsOf<AuditPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/audit/chain',
    operationId: 'listAuditChain',
    summary:
      'Lists entries in the order of the chain, as they were hashed, so that a client can verify it itself',
    tags: ['admin'],
    security: keySecurity,
    request: { query: Page },
    responses: {
      200: json('Pass `next` as `from` to get the next page; it is null on the last page.', Links),
      503: problem('The database does not answer.'),
    },
  });
  app.get('/v1/admin/audit/chain', async (c) => {
    const { from, limit } = parsed(Page, c.req.query());
    // One more than asked for tells whether the chain goes on.
    const links = await auditOf(c).chain({ from, limit: limit + 1 });
    const next = links[limit]?.id ?? null;
    return c.json({ links: links.slice(0, limit), next }, 200, NOT_STORED);
  });
}

function registerVerification(app: OpenAPIHono<AppEnv>, auditOf: PortsOf<AuditPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/audit/verify',
    operationId: 'verifyAudit',
    summary: 'Verifies a part of the chain of the audit log',
    tags: ['admin'],
    security: keySecurity,
    request: { query: Step },
    responses: {
      422: problem('`from` was sent without `hash`, or `hash` without `from`.'),
      200: {
        description:
          'Until `isComplete`, ask again with `from` and `hash` of `verifiedTo`. Keep the last `verifiedTo` outside ' +
          'the database, and begin there next time: then nobody can replace the entries before it unseen.',
        content: { 'application/json': { schema: Verdict } },
      },
      400: problem('A parameter is not valid.'),
      503: problem('The database does not answer.'),
    },
  });
  app.get('/v1/admin/audit/verify', async (c) => {
    const { from, hash, limit } = parsed(Step, c.req.query());
    if ((from === undefined) !== (hash === undefined))
      throw new Failure(
        'unprocessable',
        'Send `from` and `hash` together: an entry that was verified before.',
        {
          pointer: 'hash',
        },
      );
    const anchor = from === undefined || hash === undefined ? undefined : { id: from, hash };
    // One more than asked for tells whether the chain goes on, and the anchor comes in addition.
    const most = limit + (anchor === undefined ? 0 : 1);
    const links = await auditOf(c).chain({ from: from ?? 0, limit: most + 1 });
    const verdict = await verifyChain(links.slice(0, most), anchor);
    const isComplete = verdict.broken === null && links.length <= most;
    return c.json({ ...verdict, isComplete }, 200, NOT_STORED);
  });
}
