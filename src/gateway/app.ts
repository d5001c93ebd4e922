import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Catalog } from '../define/catalog.ts';
import type { Principal } from '../define/principal.ts';
import { bySpecificity } from '../define/reserved-paths.ts';
import { ViewFault } from '../features/load-view.ts';
import type { PrincipalPorts } from '../operations/impact/principals.ts';
import { Failure } from '../platform/failure.ts';
import { log } from '../platform/logger.ts';
import { assertEncoded } from './address.ts';
import { audited, auditedSteps, changesAreAudited } from './audit/action.ts';
import type { ActionPorts } from './audit/ports.ts';
import { type AppEnv, type Gateway, type PortsOf, type ReadContext, requestIdOf } from './context.ts';
import { Cors, readableByPages } from './cors.ts';
import { type CountRequest, RouteLabels } from './counted-requests.ts';
import type { DeprecationPorts } from './deprecation.ts';
import { idempotent } from './idempotency/middleware.ts';
import type { IdempotencyPort } from './idempotency/port.ts';
import { fetchKnownFirst, KnownReads } from './known-reads.ts';
import type { Charging } from './limits/charging.ts';
import { chargeOnEntry, chargeTo, refusalOf, withFields } from './limits/on-entry.ts';
import { allowedAt, noRouteResponse, optionsResponse } from './methods.ts';
import { answersAreAcceptable } from './middleware/accept.ts';
import { type AccessPorts, admit, authorizeBy, closedByDefault } from './middleware/authorize.ts';
import { conditionalReads, unsupportedPreconditions } from './middleware/conditional.ts';
import { answerHeaders, headIsBounded } from './middleware/headers.ts';
import { mayBePublic, phaseIsOn } from './middleware/phases.ts';
import { queriesAreStrict } from './middleware/query.ts';
import { registerModelSchemas } from './model-schemas.ts';
import type { ModelRegistryPorts } from './models/registry-ports.ts';
import { failureFormAt, problemResponse } from './problem.ts';
import { scopeOf } from './route-rules.ts';
import { type AdminPorts, registerAdmin } from './routes/admin.ts';
import { type AlertRoutePorts, registerAlerts } from './routes/admin-alerts.ts';
import { type AuditPorts, registerAudit } from './routes/admin-audit.ts';
import { type PurgePorts, registerCacheAdmin } from './routes/admin-cache.ts';
import { type DatasetRoutePorts, registerDatasets } from './routes/admin-datasets.ts';
import { type DeadLetterPorts, registerDeadLetters } from './routes/admin-dead-letters.ts';
import { type DiagnosisPorts, registerDiagnosis } from './routes/admin-diagnosis.ts';
import { type DriftRoutePorts, registerDrift } from './routes/admin-drift.ts';
import { type FeatureStatePorts, registerFeatureAdmin } from './routes/admin-features.ts';
import { type FeedbackRoutePorts, registerFeedback } from './routes/admin-feedback.ts';
import { type ErasureRoutePorts, registerForget } from './routes/admin-forget.ts';
import { type IncidentRoutePorts, registerIncidents } from './routes/admin-incidents.ts';
import { type InspectionPorts, registerInspection } from './routes/admin-inspect.ts';
import { type KafkaPorts, registerKafka } from './routes/admin-kafka.ts';
import { type KeyPorts, registerKeys } from './routes/admin-keys.ts';
import { type LifecycleRoutePorts, registerLifecycle } from './routes/admin-lifecycle.ts';
import { registerLineageAdmin, type TrainingReportPorts } from './routes/admin-lineage.ts';
import { registerModelAdmin } from './routes/admin-models.ts';
import { type PhasePorts, registerPhases } from './routes/admin-phases.ts';
import { type QuarantinePorts, registerQuarantine } from './routes/admin-quarantine.ts';
import { type QueuePorts, registerQueues } from './routes/admin-queues.ts';
import { type ReplayPorts, registerReplay } from './routes/admin-replay.ts';
import { type RolloutRoutePorts, registerRollouts } from './routes/admin-rollouts.ts';
import { registerSeries, type SeriesPorts } from './routes/admin-series.ts';
import { registerSkew, type SkewRoutePorts } from './routes/admin-skew.ts';
import { type FeedPorts, registerChanges } from './routes/changes.ts';
import { type InventoryPorts, registerDescriptions } from './routes/descriptions.ts';
import { registerDocs } from './routes/docs.ts';
import { registerEntityWrites, type WritePorts } from './routes/entities.ts';
import { type EventPorts, registerEvents } from './routes/events.ts';
import { registerFeast } from './routes/feast.ts';
import { type FeaturePorts, registerFeatures } from './routes/features.ts';
import { type GateRoutePorts, gatesBy, registerGates } from './routes/gates.ts';
import { type HealthPorts, registerHealth } from './routes/health.ts';
import { registerImpact } from './routes/impact.ts';
import { type LineagePorts, registerLineage } from './routes/lineage.ts';
import { type MetricsPorts, registerMetrics } from './routes/metrics.ts';
import { type ModelPathPorts, registerModelPath } from './routes/model-paths.ts';
import { registerModels } from './routes/models.ts';
import { registerOpenInference } from './routes/open-inference.ts';
import { registerPage } from './routes/page.ts';
import { type PredictionPorts, registerPredictions } from './routes/predictions.ts';
import { type QualityPorts, registerQuality } from './routes/quality.ts';
import { registerTickets, type TicketPorts } from './routes/tickets.ts';
import { registerTraining, type TrainingRoutePorts } from './routes/training.ts';
import { registerView, type ViewPorts } from './routes/views.ts';

import { servedModels } from './served-models.ts';
import { type TraceRequest, traceFields } from './traced-requests.ts';

/** The effects of the routes, for one request. Each group of routes receives only its own part. */
export interface GatewayPorts {
  readonly access: AccessPorts;
  readonly admin: AdminPorts;
  readonly alerts: AlertRoutePorts & IncidentRoutePorts;
  readonly audit: ActionPorts & AuditPorts;
  readonly cache: PurgePorts & InspectionPorts;
  readonly datasets: DatasetRoutePorts;
  readonly training: TrainingRoutePorts;
  readonly deadLetters: DeadLetterPorts;
  readonly deprecations: DeprecationPorts;
  readonly diagnosis: DiagnosisPorts;
  readonly erasures: ErasureRoutePorts;
  readonly events: EventPorts;
  readonly features: FeaturePorts;
  readonly featureStates: FeatureStatePorts;
  readonly feed: FeedPorts;
  readonly feedback: FeedbackRoutePorts & SkewRoutePorts;
  readonly gates: GateRoutePorts;
  readonly health: HealthPorts;
  readonly idempotency: IdempotencyPort;
  readonly impact: PrincipalPorts;
  readonly inventory: InventoryPorts;
  readonly kafka: KafkaPorts;
  readonly keys: KeyPorts;
  readonly limits: Charging;
  readonly lifecycle: LifecycleRoutePorts;
  readonly lineage: LineagePorts;
  readonly metrics: MetricsPorts & SeriesPorts;
  readonly modelPaths: ModelPathPorts;
  readonly models: ModelRegistryPorts;
  readonly phases: PhasePorts;
  readonly predictions: PredictionPorts;
  readonly quality: QualityPorts;
  readonly quarantine: QuarantinePorts;
  readonly queues: QueuePorts;
  readonly replays: ReplayPorts;
  readonly drift: DriftRoutePorts;
  readonly rollouts: RolloutRoutePorts;
  readonly tickets: TicketPorts;
  readonly trainings: TrainingReportPorts;
  readonly writes: WritePorts;
}

/** What the composition gives to the gateway. */
export interface GatewayHost {
  readonly catalog: Catalog;
  readonly viewsOf: (c: ReadContext) => ViewPorts;
  /** Creates a part of the ports only when a route asks for it. */
  readonly portsOf: PortsOf<GatewayPorts>;
  readonly countRequest: CountRequest;
  readonly traceRequest?: TraceRequest;
}

/**
 * All routes of a catalog. The cached reads have an app of their own, and so a router of their own: if a single route
 * overlaps with another, hono abandons its fastest router for all routes of that app, and every warm hit would be
 * slower.
 */
export function createApp(host: GatewayHost): OpenAPIHono<AppEnv> {
  const { catalog, viewsOf, portsOf, countRequest, traceRequest } = host;
  const app = new OpenAPIHono<AppEnv>();
  const known = new KnownReads();
  /** All other routes. One OpenAPI document describes both apps. */
  const uncached = new OpenAPIHono<AppEnv>();
  uncached.openAPIRegistry = app.openAPIRegistry;
  const accessOf: PortsOf<AccessPorts> = (c) => portsOf(c).access;
  const limitsOf: PortsOf<Charging> = (c) => portsOf(c).limits;
  const gateway: Gateway = {
    catalog,
    authorize: authorizeBy(accessOf),
    admit: (c, guard) => {
      const principal = admit(c, guard, accessOf(c));
      if (principal instanceof Promise) return principal.then((late) => admitted(c, late));
      return admitted(c, principal);
    },
    charge: chargeTo(limitsOf),
    noteDeprecated: (c, version) => portsOf(c).deprecations.noteDeprecated(version, c.get('principal')),
    audited: (c, ...action) => audited(c, portsOf(c).audit, ...action),
    auditedSteps: (c, ...action) => auditedSteps(c, portsOf(c).audit, ...action),
  };
  const cors = new Cors(catalog);
  const routes = new RouteLabels([app, uncached]);
  const failed = failedBy(limitsOf, cors, routes);

  app.onError(failed);
  uncached.onError(failed);
  app.notFound((c) => uncached.fetch(c.req.raw, c.env, c.executionCtx));
  uncached.use('*', routes.remembered());
  uncached.use('*', answerHeaders);
  uncached.use('*', readableByPages(cors));
  uncached.use('*', conditionalReads);
  uncached.use('*', headIsBounded);
  const allowedOf = (c: Context<AppEnv>) => allowedAt(c.req.path, [app, uncached]);
  uncached.notFound((c) =>
    noRouteResponse(c.req.method, allowedOf(c), requestIdOf(c), failureFormAt(c.req.path)),
  );
  // Before the middleware that requires the key, since a browser sends none when it asks for the methods of a path.
  uncached.options('*', async (c, next) => {
    const allow = allowedOf(c);
    return allow === undefined ? await next() : cors.preflight(optionsResponse(allow), c.req.raw, allow);
  });

  // Before the middleware that requires the key: the pages need none.
  registerPage(uncached, catalog);
  registerDocs(uncached);

  // Cached reads pass through no middleware: each asks for the key itself unless its declaration is public. Every
  // other route requires the key unless it is listed, so a forgotten route stays protected.
  uncached.use('*', closedByDefault(accessOf));
  uncached.use('/v1/admin/*', changesAreAudited);
  uncached.use('*', async (c, next) => {
    assertEncoded(c.req.url, 'address');
    await next();
  });
  uncached.use('*', chargeOnEntry(gateway, limitsOf));
  uncached.use('*', queriesAreStrict(app.openAPIRegistry));
  uncached.use('*', answersAreAcceptable(app.openAPIRegistry));
  uncached.use('*', unsupportedPreconditions(allowedOf));
  const isMethodOf = (c: Context<AppEnv>) => allowedOf(c)?.split(', ').includes(c.req.method) === true;
  uncached.use(
    '*',
    phaseIsOn(
      (c) => portsOf(c).phases.states(),
      isMethodOf,
      (c) => {
        const { method, path } = c.req;
        const isPublic = mayBePublic(path, catalog);
        return gateway.admit(c, { isPublic, scope: scopeOf(method, path), limitsRows: true });
      },
    ),
  );
  uncached.use(
    '*',
    idempotent((c) => portsOf(c).idempotency, gateway.charge, isMethodOf),
  );

  const schemas = registerModelSchemas(app, catalog.models);
  // The router takes the first route that matches, so a more specific path comes first, whether a view's or a model's.
  for (const definition of [...catalog.views, ...schemas.keys()].toSorted(bySpecificity)) {
    const pages = cors.ofCachedRoute(definition.isPublic);
    if (definition.kind === 'view') registerView(app, viewsOf, definition, known, pages);
    else registerModelPath(app, gateway, (c) => portsOf(c).modelPaths, definition, schemas, pages);
  }
  registerPredictions(uncached, gateway, (c) => portsOf(c).predictions, schemas);
  registerOpenInference(
    uncached,
    gateway,
    servedModels(gateway, (c) => portsOf(c).predictions),
    (c) => portsOf(c).health,
  );
  registerEntityWrites(
    uncached,
    gateway,
    (c) => portsOf(c).writes,
    async (c) => app.fetch(strongRead(c), c.env, c.executionCtx),
  );
  registerUncached(uncached, gateway, portsOf);
  const measure = gatesBy(gateway, [app, uncached], (c) => portsOf(c).gates);
  registerGates(uncached, gateway, (c) => portsOf(c).gates, measure);
  registerPhases(uncached, gateway, (c) => portsOf(c).phases, measure);

  registerImpact(uncached, gateway, (c) => portsOf(c).impact);
  registerDescriptions(uncached, gateway, (c) => portsOf(c).inventory);
  app.fetch = fetchKnownFirst(app.fetch, known, failed, {
    count: countRequest,
    trace: traceRequest,
    routes,
  });
  return app;
}

/** A strong read of the request's own path, by its sender. */
function strongRead(c: Context<AppEnv>): Request {
  const headers = new Headers({ 'millrace-consistency': 'strong' });
  const authorization = c.req.header('authorization');
  if (authorization !== undefined) headers.set('authorization', authorization);
  return new Request(c.req.url, { headers });
}

/** The routes whose paths do not depend on the catalog. */
function registerUncached(app: OpenAPIHono<AppEnv>, gateway: Gateway, portsOf: PortsOf<GatewayPorts>): void {
  registerHealth(app, gateway, (c) => portsOf(c).health);
  registerEvents(app, gateway, (c) => portsOf(c).events);
  registerChanges(app, gateway, (c) => portsOf(c).feed);
  registerTickets(app, gateway, (c) => portsOf(c).tickets);
  registerFeatures(app, gateway, (c) => portsOf(c).features);
  registerFeast(app, gateway, portsOf);
  registerFeatureAdmin(app, gateway, (c) => portsOf(c).featureStates);
  registerAdmin(app, gateway, (c) => portsOf(c).admin);
  registerAlerts(app, gateway, (c) => portsOf(c).alerts);
  registerIncidents(app, gateway, (c) => portsOf(c).alerts);
  registerModelAdmin(app, gateway, (c) => portsOf(c).models);
  registerModels(app, gateway, (c) => portsOf(c).models);
  registerDrift(app, gateway, (c) => portsOf(c).drift);
  registerRollouts(app, gateway, (c) => portsOf(c).rollouts);
  registerFeedback(app, gateway, (c) => portsOf(c).feedback);
  registerSkew(app, gateway, (c) => portsOf(c).feedback);
  registerCacheAdmin(app, gateway, (c) => portsOf(c).cache);
  registerInspection(app, gateway, (c) => portsOf(c).cache);
  registerQuarantine(app, gateway, (c) => portsOf(c).quarantine);
  registerDatasets(app, gateway, (c) => portsOf(c).datasets);
  registerTraining(app, gateway, (c) => portsOf(c).training);
  registerDeadLetters(app, gateway, (c) => portsOf(c).deadLetters);
  registerDiagnosis(app, gateway, (c) => portsOf(c).diagnosis);
  registerLifecycle(app, gateway, (c) => portsOf(c).lifecycle);
  registerQueues(app, gateway, (c) => portsOf(c).queues);
  registerReplay(app, gateway, (c) => portsOf(c).replays);
  registerForget(app, gateway, (c) => portsOf(c).erasures);
  registerKafka(app, gateway, (c) => portsOf(c).kafka);
  registerKeys(app, gateway, (c) => portsOf(c).keys);
  registerAudit(app, gateway, (c) => portsOf(c).audit);
  registerLineage(app, gateway, (c) => portsOf(c).lineage);
  registerLineageAdmin(app, gateway, (c) => portsOf(c).trainings);
  registerMetrics(app, gateway, (c) => portsOf(c).metrics);
  registerQuality(app, gateway, (c) => portsOf(c).quality);
  registerSeries(app, gateway, (c) => portsOf(c).metrics);
}

/** Remembers whom a route that decides itself has admitted. */
function admitted(c: Context<AppEnv>, principal: Principal): Principal {
  c.set('principal', principal);
  return principal;
}

function failedBy(limitsOf: PortsOf<Charging>, cors: Cors, routes: RouteLabels) {
  return async (thrown: Error, c: Context<AppEnv>): Promise<Response> => {
    const response = failed(await refusalOf(thrown, c, limitsOf), c, routes);
    cors.mark(response, c.req.raw);
    return response;
  };
}

function failed(error: Error, c: Context<AppEnv>, routes: RouteLabels): Response {
  const requestId = requestIdOf(c);
  if (!(error instanceof Failure) || error.cause !== undefined) {
    const [method, route] = routes.of(c.req.raw);
    const fields = {
      'http.request.method': method,
      'millrace.route': route,
      'http.request.id': requestId,
      ...traceFields(c),
      ...(error instanceof ViewFault ? { 'error.id': error.id } : {}),
    };
    log(error instanceof Failure ? 'warn' : 'error', 'A request failed.', fields, error);
  }
  return withFields(problemResponse(error, requestId, failureFormAt(c.req.path)), error);
}
