import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { SEVERITIES } from '../../operations/alerts/rules.ts';
import {
  ALERT_LABELS,
  type NewSilence,
  type Silence,
  type SilenceKind,
  SilenceMatcher,
  silenceState,
} from '../../operations/alerts/silences.ts';
import type { AlertsReport } from '../../operations/alerts/watch.ts';
import { Failure } from '../../platform/failure.ts';
import { auditingOwn } from '../audit/action.ts';
import { parsed, readJson } from '../body.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { json, keySecurity, problem } from '../openapi.ts';

const BODY_BYTES_MAX = 16_384;
const NOT_STORED = { 'cache-control': 'no-store' };
const UNANSWERED = 'The object of the alerts does not answer.';

const Share = z.number().nullable();
const AlertShown = z
  .object({
    id: z.string(),
    alertname: z.string(),
    labels: z.record(z.string(), z.string()).openapi({ description: '`objective` or `peer`' }),
    severity: z.enum(SEVERITIES),
    state: z.enum(['pending', 'firing', 'resolved']),
    since: z.string(),
    firedAt: z.string().nullable(),
    resolvedAt: z.string().nullable(),
    summary: z.string(),
    description: z.string(),
    runbook: z.string().openapi({ description: 'the page in this repository' }),
    inhibitedBy: z.string().nullable().openapi({ description: 'the alert of its cause, which withholds it' }),
    silencedBy: z.string().nullable().openapi({ description: 'the silence that withholds it' }),
    isNotified: z.boolean(),
    times: z.int().openapi({ description: 'how often it has fired' }),
  })
  .openapi('Alert');
const Target = z.object({
  name: z.string(),
  kind: z.enum(['generic', 'slack', 'pagerduty']),
  waiting: z.int(),
  oldestAt: z.string().nullable().openapi({ description: 'since when the oldest one waits' }),
  deliveredAt: z.string().nullable(),
  failedAt: z.string().nullable(),
  lastError: z.string().nullable().openapi({ description: 'why the newest attempt failed' }),
  dropped: z.int().openapi({ description: 'notices that were given up' }),
});
const Alerts = z
  .object({
    evaluatedAt: z.string().nullable().openapi({ description: 'null if the rules were never evaluated' }),
    isCounted: z.boolean().openapi({ description: 'whether the counts could be read then' }),
    alerts: z.array(AlertShown).openapi({
      description: 'those that are pending or firing, and those that were resolved in the last minutes',
    }),
    objectives: z.array(
      z.object({
        name: z.string(),
        description: z.string(),
        target: z.number(),
        badShares: z.record(z.string(), Share).openapi({
          description: 'the share of bad events by window; null without events',
        }),
        budget: z.object({
          all: z.int(),
          bad: z.int(),
          left: Share.openapi({
            description: 'the part of the budget of 30 days that is left; negative if it is overspent',
          }),
          hoursLeft: Share.openapi({ description: 'until nothing is left, at the pace of the last day' }),
        }),
        burnsInMinutes: Share.openapi({
          description: 'until it burns faster than it may, if the trend of the last six hours goes on',
        }),
      }),
    ),
    regressions: z
      .array(
        z.object({
          name: z.string().openapi({ description: '`GET /v1/…`, `view …` or `service …`' }),
          against: z.enum(['days', 'deploy']),
          before: z.number(),
          now: z.number(),
          oneIn: z.number().openapi({ description: 'one comparison in so many is a false alarm' }),
        }),
      )
      .openapi({
        description:
          'what has become slower (milliseconds of a request) or more expensive (reads of the origin for an answer, calls for a request)',
      }),
    targets: z.array(Target).openapi({ description: 'where notices go, and what waits there' }),
    deploys: z.array(z.object({ id: z.string(), at: z.string() })).openapi({
      description: 'the versions that were noticed, the newest first',
    }),
  })
  .openapi('Alerts');

const SilenceShown = z
  .object({
    id: z.string(),
    matchers: z.array(SilenceMatcher),
    startsAt: z.string(),
    endsAt: z.string(),
    author: z.string(),
    comment: z.string(),
    state: z.enum(['pending', 'active', 'ended']),
  })
  .openapi('Silence');
const Moment = z.iso.datetime({ offset: true });
const NewSilenceBody = z.strictObject({
  matchers: z
    .array(SilenceMatcher)
    .min(1)
    .max(10)
    .openapi({ description: `conditions on ${ALERT_LABELS.join(', ')}, which an alert fulfils all` }),
  startsAt: Moment.optional().openapi({ description: 'now unless given' }),
  endsAt: Moment,
  comment: z.string().min(1).max(1_000),
});
const NewMaintenanceBody = NewSilenceBody.extend({
  matchers: z.array(SilenceMatcher).max(10).default([]).openapi({ description: 'all alerts unless given' }),
  startsAt: Moment,
});
const Id = z.object({ id: z.string().min(1).max(64) });

/** All of them throw Failure `alerts_unavailable`. */
export interface AlertRoutePorts {
  readonly now: () => number;
  readonly report: () => Promise<AlertsReport>;
  readonly silences: (kind: SilenceKind) => Promise<Silence[]>;
  /** @returns null if its times are refused, or there are too many. */
  readonly silence: (silence: NewSilence) => Promise<Silence | null>;
  /** Sends a test to all targets. @returns their names. */
  readonly test: (by: string) => Promise<string[]>;
  readonly endSilence: (kind: SilenceKind, id: string, by: string) => Promise<Silence | null>;
}

/** Shows alerts and objectives, and withholds notifications: by silences, and by maintenance windows that are planned. */
export function registerAlerts(
  app: OpenAPIHono<AppEnv>,
  _: Gateway,
  portsOf: PortsOf<AlertRoutePorts>,
): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/alerts',
    operationId: 'listAlerts',
    summary: 'Shows the alerts, and how much of the budget of each objective is left',
    tags: ['admin'],
    security: keySecurity,
    responses: { 200: json('As of the newest evaluation.', Alerts), 503: problem(UNANSWERED) },
  });
  app.get('/v1/admin/alerts', async (c) => {
    const report = await portsOf(c).report();
    return c.json(alertsShown(report), 200, NOT_STORED);
  });
  registerTest(app, portsOf);
  registerSilences(app, portsOf, 'silence');
  registerSilences(app, portsOf, 'maintenance');
}

function alertsShown({
  evaluatedMs,
  isCounted,
  alerts,
  objectives,
  regressions,
  targets,
  deploys,
}: AlertsReport): z.output<typeof Alerts> {
  return {
    evaluatedAt: evaluatedMs === 0 ? null : momentOf(evaluatedMs),
    isCounted,
    alerts: alerts.map(
      ({ sinceMs, firedMs, resolvedMs, notified, notifiedMs: _, instances: __, ...alert }) => ({
        ...alert,
        since: momentOf(sinceMs),
        firedAt: firedMs === null ? null : momentOf(firedMs),
        resolvedAt: resolvedMs === null ? null : momentOf(resolvedMs),
        isNotified: notified !== null,
      }),
    ),
    objectives: objectives.map(({ badShares, budget, ...of }) => ({ ...of, badShares, budget })),
    regressions: [...regressions],
    targets: targets.map(({ oldestMs, deliveredMs, failedMs, ...target }) => ({
      ...target,
      ...{ oldestAt: perhaps(oldestMs), deliveredAt: perhaps(deliveredMs), failedAt: perhaps(failedMs) },
    })),
    deploys: deploys.map(({ id, atMs }) => ({ id, at: momentOf(atMs) })),
  };
}

function registerTest(app: OpenAPIHono<AppEnv>, portsOf: PortsOf<AlertRoutePorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/v1/admin/alerts/test',
    operationId: 'testAlertTargets',
    summary: 'Sends a test notice to all targets',
    tags: ['admin'],
    security: keySecurity,
    responses: {
      202: json('The targets that get it.', z.object({ targets: z.array(z.string()) })),
      503: problem(UNANSWERED),
    },
  });
  app.post('/v1/admin/alerts/test', async (c) => {
    const targets = await portsOf(c).test(auditingOwn(c));
    return c.json({ targets }, 202, NOT_STORED);
  });
}

const KINDS = {
  silence: {
    path: '/v1/admin/silences',
    ids: { list: 'listSilences', create: 'createSilence', end: 'endSilence' },
    what: 'silence',
    lists: 'Lists the silences, those that end last first',
    creates: 'Silences alerts until a moment: they notify nobody and open no incident',
    ends: 'Ends a silence now',
    body: NewSilenceBody,
  },
  maintenance: {
    path: '/v1/admin/maintenance',
    ids: { list: 'listMaintenance', create: 'planMaintenance', end: 'endMaintenance' },
    what: 'maintenance window',
    lists: 'Lists the maintenance windows, those that end last first',
    creates: 'Plans a maintenance window, in which alerts notify nobody and open no incident',
    ends: 'Ends a maintenance window now, or cancels one that has not begun',
    body: NewMaintenanceBody,
  },
} as const;

function registerSilences(
  app: OpenAPIHono<AppEnv>,
  portsOf: PortsOf<AlertRoutePorts>,
  kind: SilenceKind,
): void {
  const { path, ids, what, lists, creates, ends, body: Body } = KINDS[kind];
  const Listed = z.object({ [kind === 'silence' ? 'silences' : 'windows']: z.array(SilenceShown) });
  const shared = { tags: ['admin'], security: keySecurity };
  app.openAPIRegistry.registerPath({
    ...{ method: 'get', path, operationId: ids.list, summary: lists, ...shared },
    responses: { 200: json('Ended ones of the last seven days included.', Listed), 503: problem(UNANSWERED) },
  });
  app.get(path, async (c) => {
    const { silences, now } = portsOf(c);
    const shown = (await silences(kind)).map((silence) => silenceShown(silence, now()));
    return c.json(kind === 'silence' ? { silences: shown } : { windows: shown }, 200, NOT_STORED);
  });

  app.openAPIRegistry.registerPath({
    ...{ method: 'post', path, operationId: ids.create, summary: creates, ...shared },
    request: { body: { required: true, content: { 'application/json': { schema: Body } } } },
    responses: {
      201: json(`The ${what}.`, SilenceShown),
      422: problem(
        'It ends before it begins or before now, lasts longer than 30 days, or there are 200 already.',
      ),
      503: problem(UNANSWERED),
    },
  });
  app.post(path, async (c) => {
    const body = parsed(
      Body,
      await readJson(c.req.raw, { bytesMax: BODY_BYTES_MAX, types: ['application/json'] }),
    );
    const { silence, now } = portsOf(c);
    const made = await silence({
      ...{ kind, matchers: body.matchers, comment: body.comment, author: auditingOwn(c) },
      startsMs: body.startsAt === undefined ? now() : Date.parse(body.startsAt),
      endsMs: Date.parse(body.endsAt),
    });
    if (made === null)
      throw new Failure(
        'unprocessable',
        `A ${what} ends after it begins and after now, and lasts for 30 days at most. At most 200 are kept.`,
        { pointer: '/endsAt' },
      );
    return c.json(silenceShown(made, now()), 201, NOT_STORED);
  });

  app.openAPIRegistry.registerPath({
    ...{ method: 'delete', path: `${path}/{id}`, operationId: ids.end, summary: ends, ...shared },
    request: { params: Id },
    responses: {
      200: json('As it has ended.', SilenceShown),
      404: problem(`There is no such ${what}.`),
      503: problem(UNANSWERED),
    },
  });
  app.delete(`${path}/:id`, async (c) => {
    const { id } = parsed(Id, c.req.param());
    const { endSilence, now } = portsOf(c);
    const ended = await endSilence(kind, id, auditingOwn(c));
    if (ended === null) throw new Failure('not_found', `There is no such ${what}.`);
    return c.json(silenceShown(ended, now()), 200, NOT_STORED);
  });
}

function silenceShown(silence: Silence, nowMs: number): z.output<typeof SilenceShown> {
  const { id, matchers, startsMs, endsMs, author, comment } = silence;
  const times = { startsAt: momentOf(startsMs), endsAt: momentOf(endsMs) };
  return { id, matchers, ...times, author, comment, state: silenceState(silence, nowMs) };
}

function perhaps(ms: number | null): string | null {
  return ms === null ? null : momentOf(ms);
}

function momentOf(ms: number): string {
  return new Date(ms).toISOString();
}
