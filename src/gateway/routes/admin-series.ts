import { type OpenAPIHono, z } from '@hono/zod-openapi';
import {
  LABELS_MAX,
  METRICS_MAX,
  RANGE_NAMES,
  SERIES_RETURNED_MAX,
  type SeriesAnswer,
  type SeriesQuestion,
} from '../../operations/series.ts';
import { streamSeries } from '../../operations/series-stream.ts';
import { sleep, systemNow } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { eventStream } from '../event-stream.ts';
import { json, keySecurity, problem } from '../openapi.ts';

/** The most streams of one isolate: each asks the counters twelve times a minute. */
export const STREAMS_MAX = 32;
const METRIC_NAME = /^[a-z][a-z0-9_]{0,99}$/;
const LABEL_NAME = /^[a-z_]{1,32}$/;

const metric = z
  .array(z.string().regex(METRIC_NAME))
  .min(1)
  .max(METRICS_MAX)
  .openapi({ description: 'names of counters, such as `millrace_http_requests_total`' });
const by = z
  .array(z.string().regex(LABEL_NAME))
  .max(LABELS_MAX)
  .optional()
  .openapi({ description: 'the labels by which the counts are kept apart; they are summed over all others' });
const Series = z
  .object({
    stepMinutes: z.int().openapi({ description: 'how long a step is' }),
    firstMinute: z
      .int()
      .openapi({ description: 'when the first step begins, in minutes since the Unix epoch' }),
    steps: z.int().openapi({ description: 'the last step is the present one, and not over' }),
    series: z.array(
      z.object({
        metric: z.string(),
        labels: z.record(z.string(), z.string()),
        values: z.array(z.int()).openapi({ description: 'the count of each step' }),
      }),
    ),
    omitted: z.int().openapi({
      description: `how many series with fewer counts were left out: an answer has at most ${SERIES_RETURNED_MAX}`,
    }),
  })
  .openapi('Series');

export interface SeriesPorts {
  /** @throws Failure `statistics_unavailable` */
  readonly series: (question: SeriesQuestion) => Promise<SeriesAnswer>;
}

/** Shows counts over time, for dashboards: at once, and live. */
export function registerSeries(app: OpenAPIHono<AppEnv>, _: Gateway, portsOf: PortsOf<SeriesPorts>): void {
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/series',
    operationId: 'getSeries',
    summary: 'Shows how often something was counted over the last hour, day or month, in steps',
    tags: ['admin'],
    security: keySecurity,
    request: { query: z.object({ metric, by, range: z.enum(RANGE_NAMES).optional() }) },
    responses: {
      200: json('The counts of all isolates. Without `range` it is the last hour.', Series),
      503: problem('The counters do not answer.'),
    },
  });
  app.get('/v1/admin/series', async (c) => {
    const question = questionOf(c.req.queries());
    const answer: z.output<typeof Series> = sent(await portsOf(c).series(question));
    return c.json(answer, 200, { 'cache-control': 'no-store' });
  });
  registerStream(app, portsOf);
}

function registerStream(app: OpenAPIHono<AppEnv>, portsOf: PortsOf<SeriesPorts>): void {
  let streams = 0;
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/admin/series/live',
    operationId: 'streamSeries',
    summary: 'Streams the newest minutes of counts every five seconds, as `series` events',
    tags: ['admin'],
    security: keySecurity,
    request: { query: z.object({ metric, by }) },
    responses: {
      200: {
        description:
          'Each `data` has the last three minutes. A `failed` event has the code of a failure: the stream goes on. It ends after ten minutes.',
        content: { 'text/event-stream': { schema: Series } },
      },
      503: problem('The counters do not answer, or the isolate has too many streams.'),
    },
  });
  app.get('/v1/admin/series/live', async (c) => {
    const question = questionOf(c.req.queries());
    const { series } = portsOf(c);
    if (streams >= STREAMS_MAX)
      throw new Failure('statistics_unavailable', 'Too many dashboards are open.', { retryAfterS: 10 });
    const first = await series(question);
    streams += 1;
    const text = streamSeries(first, {
      next: () => series(question),
      sleep,
      now: systemNow,
      leave: () => {
        streams -= 1;
      },
    });
    return eventStream(text);
  });
}

function sent({ series, ...rest }: SeriesAnswer): z.output<typeof Series> {
  return {
    ...rest,
    series: series.map(({ labels, values, ...of }) => ({
      ...of,
      labels: { ...labels },
      values: [...values],
    })),
  };
}

const Query = z.object({
  metric,
  by: by.default([]),
  range: z.array(z.enum(RANGE_NAMES)).max(1).default([]),
});

function questionOf(queries: Readonly<Record<string, string[]>>): SeriesQuestion {
  const parsed = Query.safeParse(queries);
  if (parsed.success) {
    const { metric: metrics, by: labels, range } = parsed.data;
    return { metrics, by: labels, range: range[0] ?? '1h' };
  }
  const [issue] = parsed.error.issues;
  const pointer = String(issue?.path[0] ?? 'metric');
  throw new Failure('invalid_request', issue?.message ?? 'The query is not valid.', { pointer });
}
