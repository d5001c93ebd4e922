import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as z from 'zod';
import { decodeExport } from './otlp-protobuf.ts';

const Value = z.object({
  stringValue: z.string().optional(),
  intValue: z.union([z.number(), z.string()]).optional(),
  doubleValue: z.number().optional(),
  boolValue: z.boolean().optional(),
});
const Attributes = z.array(z.object({ key: z.string(), value: Value })).default([]);
const Span = z.object({
  traceId: z.string().regex(/^[\da-f]{32}$/),
  spanId: z.string().regex(/^[\da-f]{16}$/),
  parentSpanId: z.string().optional(),
  name: z.string(),
  kind: z.int(),
  startTimeUnixNano: z.string(),
  endTimeUnixNano: z.string(),
  attributes: Attributes,
  links: z.array(z.object({ traceId: z.string(), spanId: z.string() })).default([]),
  status: z.object({ code: z.int().optional() }).default({}),
});
const Export = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: Attributes }),
      scopeSpans: z.array(z.object({ spans: z.array(Span) })),
    }),
  ),
});

export type ReceivedSpan = z.output<typeof Span>;

export interface OtlpReceiver extends AsyncDisposable {
  readonly endpoint: string;
  /** All spans that have arrived. */
  readonly spans: readonly ReceivedSpan[];
  /** Headers of the newest export. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** How the next exports are answered: `hang` leaves them without an answer. */
  mode: 'take' | 'hang' | 'refuse' | 'busy';
  /** The number of exports that have arrived, answered or not. */
  readonly exports: number;
}

/** A receiver of OTLP/HTTP in both formats, which keeps what it is sent. */
export async function startReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const state: { mode: OtlpReceiver['mode']; exports: number; headers: OtlpReceiver['headers'] } = {
    ...{ mode: 'take', exports: 0, headers: {} },
  };
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      state.exports += 1;
      state.headers = request.headers;
      if (state.mode === 'hang') return;
      if (state.mode !== 'take') {
        response.writeHead(state.mode === 'busy' ? 503 : 400).end();
        return;
      }
      const body = Buffer.concat(chunks);
      const isJson = request.headers['content-type'] === 'application/json';
      const { resourceSpans } = Export.parse(isJson ? JSON.parse(body.toString('utf8')) : decodeExport(body));
      for (const { scopeSpans } of resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans);
      // An empty message says that all spans were taken.
      if (isJson) response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      else response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans,
    get headers() {
      return state.headers;
    },
    get mode() {
      return state.mode;
    },
    set mode(mode) {
      state.mode = mode;
    },
    get exports() {
      return state.exports;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** An attribute of a span as a text; undefined if the span does not have it. */
export function attributeOf({ attributes }: ReceivedSpan, name: string): string | undefined {
  const found = attributes.find(({ key }) => key === name)?.value;
  const value = found && (found.stringValue ?? found.intValue ?? found.doubleValue ?? found.boolValue);
  return value === undefined ? undefined : String(value);
}
