import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/**
 * Scripts and end-to-end tests call a worker through the typed client: `src/client`, in tests `Stack.caller`. The client is
 * exercised by that, and a caller writes no headers. A file that makes requests by `fetch` has its reason here.
 */
const ROOT = join(import.meta.dirname, '../../..');
const FOLDERS = ['scripts', 'test/e2e'];
/** A test of an example says its reason itself. */
const OWN_REASON = /\bRaw requests: (\w+)\b/;
/** A call of the runtime's `fetch`, or of the one of a test's stack. The client's own `fetch` is none. */
const RAW = /(?:^|[^.\w])fetch\(|[sS]tack\??\.fetch\(/m;

const REASONS = {
  malformed: 'requests that no client makes: bodies, codings, headers, methods or cursors that are wrong',
  strangers: 'requests without a key, or with tokens and tickets in the form of other programs',
  timed: 'measures the time of an answer, so nothing may stand between',
  aimed: 'names an isolate or an address of the stack, or follows which code one request runs',
  stream: 'reads a body without an end',
  page: 'asks for a page as a browser does',
  foreign: 'another program asks: a client of Feast, Kafka, Parquet, or a tool of another language',
  preconditions: 'compares entity tags, statuses and headers of HTTP as they come',
  absent: 'asks whether anything listens at an address',
  transport: 'is the `fetch` that a client is given, or a worker of the test itself',
  outage: 'looks at refusals while a part is away, which the client would send again',
} as const;
type Reason = keyof typeof REASONS;

/** The files that may make raw requests. */
const MAY: Readonly<Record<string, Reason>> = {
  'scripts/cli/cli.ts': 'transport',
  'scripts/verify/runtime.ts': 'transport',
  'scripts/cli/doctor.ts': 'timed',
  'test/e2e/hung-operations.long.test.ts': 'timed',
  'scripts/deploy/verify.ts': 'absent',
  'scripts/dev/port.ts': 'absent',
  'scripts/smoke/stack.ts': 'absent',
  'test/e2e/dev-stack.long.test.ts': 'absent',
  'test/e2e/api-keys.long.test.ts': 'strangers',
  'test/e2e/as-of.long.test.ts': 'strangers',
  'test/e2e/cache-stats.long.test.ts': 'strangers',
  'test/e2e/lineage.long.test.ts': 'strangers',
  'test/e2e/probe.long.test.ts': 'strangers',
  'test/e2e/quality.long.test.ts': 'strangers',
  'test/e2e/tickets.long.test.ts': 'strangers',
  'test/e2e/tokens.long.test.ts': 'strangers',
  'test/e2e/bad-input.test.ts': 'malformed',
  'test/e2e/contract/examples.long.test.ts': 'malformed',
  'test/e2e/hostile-events.long.test.ts': 'malformed',
  'test/e2e/logs.long.test.ts': 'malformed',
  'test/e2e/http.test.ts': 'malformed',
  'test/e2e/idempotency.test.ts': 'malformed',
  'test/e2e/ingest.long.test.ts': 'malformed',
  'test/e2e/rate-limits.long.test.ts': 'malformed',
  'test/e2e/route-matrix.long.test.ts': 'malformed',
  'test/e2e/conditional-write.long.test.ts': 'preconditions',
  'test/e2e/cursors.long.test.ts': 'preconditions',
  'test/e2e/open-inference.long.test.ts': 'preconditions',
  'test/e2e/changes.long.test.ts': 'stream',
  'test/e2e/deadline.long.test.ts': 'aimed',
  'test/e2e/degradation.long.test.ts': 'aimed',
  'test/e2e/phases.long.test.ts': 'aimed',
  'test/e2e/tracing.long.test.ts': 'aimed',
  'test/e2e/ways.long.test.ts': 'aimed',
  'test/e2e/database-outage.long.test.ts': 'outage',
  'test/e2e/more-shards.long.test.ts': 'outage',
  'test/e2e/page-lines.long.test.ts': 'page',
  'test/e2e/page.long.test.ts': 'page',
  'test/e2e/contract/schemathesis.long.test.ts': 'foreign',
  'test/e2e/datasets.long.test.ts': 'foreign',
  'test/e2e/feast/feast.long.test.ts': 'foreign',
  'test/e2e/feast/push.long.test.ts': 'foreign',
  'test/e2e/kafka-bytes.long.test.ts': 'foreign',
  'test/e2e/monitoring.long.test.ts': 'foreign',
  'test/e2e/prometheus.long.test.ts': 'foreign',
  'test/e2e/sdks/javascript.ts': 'foreign',
  'test/e2e/sdks/sdks.long.test.ts': 'foreign',
};

function files(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|js)$/.test(name) && !name.includes('node_modules'))
    .map((name) => join(folder, name));
}

it('scripts and end-to-end tests call a worker through the client, except where they have a reason', () => {
  const raw = FOLDERS.flatMap(files).filter((name) => RAW.test(readFileSync(join(ROOT, name), 'utf8')));
  expect(raw.length).toBeGreaterThan(20);
  const allowed = Object.keys(MAY);
  expect(raw.filter((name) => !allowed.includes(name))).toEqual([]);
  expect(allowed.filter((name) => !raw.includes(name))).toEqual([]);
});

it('a test of an example that makes raw requests says why', () => {
  const raw = files('examples').filter(
    (name) => name.includes('/test/e2e/') && RAW.test(readFileSync(join(ROOT, name), 'utf8')),
  );
  const reasons = raw.map((name) => OWN_REASON.exec(readFileSync(join(ROOT, name), 'utf8'))?.[1]);
  expect(raw.filter((_, at) => !Object.hasOwn(REASONS, reasons[at] ?? ''))).toEqual([]);
});

it('every reason is used', () => {
  expect(Object.keys(REASONS).sort()).toEqual([...new Set(Object.values(MAY))].sort());
});
