import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { SEVERITIES } from '../../operations/alerts/rules.ts';
import {
  ENTRY_KINDS,
  INCIDENT_STATES,
  type Incident,
  type IncidentAct,
  type IncidentFilter,
  type IncidentWithTimeline,
  type NewIncident,
  NOTE_CHARACTERS_MAX,
  TITLE_CHARACTERS_MAX,
} from '../../operations/incidents/incident.ts';
import { postMortem } from '../../operations/incidents/post-mortem.ts';
import { Failure } from '../../platform/failure.ts';
import { auditingOwn } from '../audit/action.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 16_384;
const PAGE_MAX = 100;
const NOT_STORED = { 'cache-control': 'no-store' };
const UNANSWERED = 'The object of the incidents does not answer.';
const PATH = '/v1/admin/incidents';

const Moment = z.string().nullable();
const IncidentShown = z
  .object({
    id: z.int(),
    title: z.string(),
    severity: z.enum(SEVERITIES),
    state: z.enum(INCIDENT_STATES),
    openedAt: z.string(),
    acknowledgedAt: Moment,
    resolvedAt: Moment,
    openedBy: z.string(),
    acknowledgedBy: z.string().nullable(),
    alert: z.string().nullable().openapi({ description: 'the id of the alert that opened it' }),
    cause: z.string().nullable().openapi({ description: 'the service that fails, if one does' }),
    runbook: z.string().nullable(),
    impact: z
      .record(z.string(), z.object({ bad: z.number(), all: z.number() }))
      .nullable()
      .openapi({
        description: 'bad and all events of each objective until its end; null while it goes on',
      }),
  })
  .openapi('Incident');
const Entry = z.object({
  at: z.string(),
  kind: z.enum(ENTRY_KINDS),
  by: z.string(),
  text: z.string(),
});
const Detailed = IncidentShown.extend({ timeline: z.array(Entry) }).openapi('IncidentWithTimeline');

const Filter = z.strictObject({
  state: z.enum(INCIDENT_STATES).optional(),
  before: z.coerce.number().int().positive().optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_MAX).default(20),
});
const Id = z.object({ id: z.coerce.number().int().positive() });
const Opening = z.strictObject({
  title: z.string().min(1).max(TITLE_CHARACTERS_MAX),
  severity: z.enum(SEVERITIES),
  text: z.string().max(NOTE_CHARACTERS_MAX).default(''),
});
const Nothing = z.strictObject({});
const Noted = z.strictObject({ text: z.string().min(1).max(NOTE_CHARACTERS_MAX) });
const Resolved = z.strictObject({ text: z.string().max(NOTE_CHARACTERS_MAX).default('') });
const Weighed = z.strictObject({ severity: z.enum(SEVERITIES) });

/** All of them throw Failure `alerts_unavailable`. None needs the database. */
export interface IncidentRoutePorts {
  readonly incidents: (filter: IncidentFilter) => Promise<Incident[]>;
  readonly incident: (id: number) => Promise<IncidentWithTimeline | null>;
  readonly open: (incident: NewIncident, by: string) => Promise<Incident>;
  /** @returns null for an unknown incident. */
  readonly act: (id: number, act: IncidentAct, by: string) => Promise<Incident | null>;
}

/** Shows incidents with their timelines, and lets people open, acknowledge, note and resolve them. */
export function registerIncidents(
  app: OpenAPIHono<AppEnv>,
  _: Gateway,
  portsOf: PortsOf<IncidentRoutePorts>,
): void {
  registerList(app, portsOf);
  registerShown(app, portsOf);
  registerAct(app, portsOf, 'acknowledge', 'Acknowledges an incident', Nothing, () => ({
    do: 'acknowledge',
  }));
  registerAct(app, portsOf, 'notes', 'Adds a note to the timeline of an incident', Noted, ({ text }) => ({
    do: 'note',
    text,
  }));
  registerAct(app, portsOf, 'resolve', 'Resolves an incident', Resolved, ({ text }) => ({
    do: 'resolve',
    text,
  }));
  registerAct(app, portsOf, 'severity', 'Changes the severity of an incident', Weighed, ({ severity }) => ({
    do: 'severity',
    severity,
  }));
}

function registerList(app: OpenAPIHono<AppEnv>, portsOf: PortsOf<IncidentRoutePorts>): void {
  app.openAPIRegistry.registerPath({
    ...{ method: 'get', path: PATH, operationId: 'listIncidents', tags: ['admin'], security: keySecurity },
    summary: 'Lists the incidents, the newest first',
    request: { query: Filter },
    responses: {
      200: json(
        'Pass `next` as `before` to get the next page; it is null on the last page.',
        z.object({ incidents: z.array(IncidentShown), next: z.int().nullable() }),
      ),
      503: problem(UNANSWERED),
    },
  });
  app.get(PATH, async (c) => {
    const filter = parsed(Filter, c.req.query());
    const incidents = (await portsOf(c).incidents(filter)).map(shown);
    const next = incidents.length === filter.limit ? (incidents.at(-1)?.id ?? null) : null;
    return c.json({ incidents, next }, 200, NOT_STORED);
  });

  app.openAPIRegistry.registerPath({
    ...{ method: 'post', path: PATH, operationId: 'openIncident', tags: ['admin'], security: keySecurity },
    summary: 'Opens an incident by hand, and notifies its stakeholders',
    request: { body: { required: true, content: { 'application/json': { schema: Opening } } } },
    responses: { 201: json('The incident.', IncidentShown), 503: problem(UNANSWERED) },
  });
  app.post(PATH, async (c) => {
    const body = parsed(Opening, await bodyOf(c));
    return c.json(shown(await portsOf(c).open(body, auditingOwn(c))), 201, NOT_STORED);
  });
}

function registerShown(app: OpenAPIHono<AppEnv>, portsOf: PortsOf<IncidentRoutePorts>): void {
  const shared = { tags: ['admin'], security: keySecurity, request: { params: Id } };
  const missing = { 404: problem('There is no such incident.'), 503: problem(UNANSWERED) };
  app.openAPIRegistry.registerPath({
    ...{ method: 'get', path: `${PATH}/{id}`, operationId: 'getIncident', ...shared },
    summary: 'Shows an incident with its timeline',
    responses: { 200: json('The oldest entry first.', Detailed), ...missing },
  });
  app.get(`${PATH}/:id`, async (c) => {
    const { incident, timeline } = await found(c, portsOf);
    const entries = timeline.map(({ atMs, ...entry }) => ({ at: momentOf(atMs), ...entry }));
    return c.json({ ...shown(incident), timeline: entries }, 200, NOT_STORED);
  });

  app.openAPIRegistry.registerPath({
    ...{ method: 'get', path: `${PATH}/{id}/postmortem`, operationId: 'draftPostMortem', ...shared },
    summary: 'Drafts a post-mortem of an incident from its timeline, as Markdown',
    responses: {
      200: { description: 'Markdown.', content: { 'text/markdown': { schema: z.string() } } },
      ...missing,
    },
  });
  app.get(`${PATH}/:id/postmortem`, async (c) => {
    const { incident, timeline } = await found(c, portsOf);
    const type = { 'content-type': 'text/markdown; charset=utf-8' };
    return c.body(postMortem(incident, timeline), 200, { ...NOT_STORED, ...type });
  });
}

const IDS = {
  acknowledge: 'acknowledgeIncident',
  notes: 'noteIncident',
  resolve: 'resolveIncident',
  severity: 'weighIncident',
} as const;

function registerAct<Body extends z.ZodType>(
  app: OpenAPIHono<AppEnv>,
  portsOf: PortsOf<IncidentRoutePorts>,
  verb: keyof typeof IDS,
  summary: string,
  schema: Body,
  actOf: (body: z.output<Body>) => IncidentAct,
): void {
  app.openAPIRegistry.registerPath({
    ...{ method: 'post', path: `${PATH}/{id}/${verb}`, operationId: IDS[verb], summary },
    ...{ tags: ['admin'], security: keySecurity },
    request: { params: Id, body: { required: true, content: { 'application/json': { schema } } } },
    responses: {
      200: json('As it is then; an incident that has ended stays as it is.', IncidentShown),
      404: problem('There is no such incident.'),
      503: problem(UNANSWERED),
    },
  });
  app.post(`${PATH}/:id/${verb}`, async (c) => {
    const { id } = parsed(Id, c.req.param());
    const act = actOf(parsed(schema, await bodyOf(c)));
    const after = await portsOf(c).act(id, act, auditingOwn(c));
    if (after === null) throw unknown();
    return c.json(shown(after), 200, NOT_STORED);
  });
}

async function bodyOf(c: Context<AppEnv>): Promise<unknown> {
  return await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] });
}

async function found(
  c: Context<AppEnv>,
  portsOf: PortsOf<IncidentRoutePorts>,
): Promise<IncidentWithTimeline> {
  const { id } = parsed(Id, c.req.param());
  const known = await portsOf(c).incident(id);
  if (known === null) throw unknown();
  return known;
}

function unknown(): Failure {
  return new Failure('not_found', 'There is no such incident.');
}

function shown(incident: Incident): z.output<typeof IncidentShown> {
  const { openedMs, acknowledgedMs, resolvedMs, group: _, changesMs: __, ...of } = incident;
  return {
    ...of,
    openedAt: momentOf(openedMs),
    acknowledgedAt: acknowledgedMs === null ? null : momentOf(acknowledgedMs),
    resolvedAt: resolvedMs === null ? null : momentOf(resolvedMs),
  };
}

function momentOf(ms: number): string {
  return new Date(ms).toISOString();
}
