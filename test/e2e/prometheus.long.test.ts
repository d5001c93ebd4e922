/** A real Prometheus scrapes the built worker, and finds the exemplars of requests whose traces a receiver got. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import * as z from 'zod';
import { freePort } from '../support/node/dev-process.ts';
import { PROMETHEUS, PROMETHEUS_TITLE } from '../support/node/monitoring.ts';
import { type OtlpReceiver, startReceiver } from '../support/node/otlp-receiver.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const Vector = z.object({
  data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })) }),
});
const Exemplars = z.object({
  data: z.array(z.object({ exemplars: z.array(z.object({ labels: z.record(z.string(), z.string()) })) })),
});
const Targets = z.object({
  data: z.object({ activeTargets: z.array(z.object({ health: z.string(), lastError: z.string() })) }),
});

describe.skipIf(PROMETHEUS === undefined)(PROMETHEUS_TITLE, () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-prometheus-'));
  let receiver: OtlpReceiver;
  let stack: Stack;
  beforeAll(async () => {
    receiver = await startReceiver();
    stack = await startStack({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    });
  });
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    await receiver[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it('scrapes the metrics in the format of OpenMetrics, with exemplars that name traces', async () => {
    const traceId = randomBytes(16).toString('hex');
    const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-01`;
    const read = async () =>
      (
        await stack.fetch('/v1/products', { headers: { authorization: `Bearer ${KEY}`, traceparent } })
      ).text();
    await read();
    const port = await freePort();
    const config = join(folder, 'prometheus.yml');
    const job = {
      job_name: 'millrace',
      scrape_interval: '1s',
      authorization: { credentials: KEY },
      static_configs: [{ targets: [stack.url.host] }],
    };
    writeFileSync(config, stringify({ scrape_configs: [job] }));
    const child = spawn(
      PROMETHEUS ?? '',
      [
        ...[`--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'data')}`],
        ...[`--web.listen-address=127.0.0.1:${port}`, '--enable-feature=exemplar-storage'],
      ],
      { stdio: 'ignore' },
    );
    const ask = async (path: string): Promise<unknown> => {
      try {
        return await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json();
      } catch {
        return undefined;
      }
    };
    try {
      const query = encodeURIComponent('sum(millrace_http_requests_total{route="/v1/products"})');
      await eventually(
        async () => {
          await read();
          return Vector.safeParse(await ask(`query?query=${query}`)).data?.data.result[0]?.value[1];
        },
        (value) => Number(value) > 0,
        60_000,
      );
      const { data } = Targets.parse(await ask('targets'));
      expect(data.activeTargets.map(({ health, lastError }) => [health, lastError])).toEqual([['up', '']]);
      const bucket = 'millrace_http_request_duration_seconds_bucket';
      const now = Date.now() / 1_000;
      const found = await eventually(
        async () =>
          Exemplars.safeParse(
            await ask(`query_exemplars?query=${bucket}&start=${now - 600}&end=${Date.now() / 1_000 + 1}`),
          ).data?.data.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels['trace_id'])) ?? [],
        (ids) => ids.includes(traceId),
        60_000,
      );
      expect(found).toContain(traceId);
      expect(receiver.spans.some((span) => span.traceId === traceId)).toBe(true);
    } finally {
      child.kill();
      await once(child, 'exit');
    }
  }, 240_000);
});
