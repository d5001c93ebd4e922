import type { OpenAPIHono } from '@hono/zod-openapi';
import type { AppEnv } from '../context.ts';

/** As much of the registry as this folder needs. */
export type Registry = OpenAPIHono<AppEnv>['openAPIRegistry'];

/** The headers of answers, by their names. Each is a component, so that every operation can refer to it. */
const HEADERS = {
  'X-Request-Id': {
    description:
      'The id under which the log has the request; absent from an answer that the memory of an isolate had. Report it with an error.',
    schema: { type: 'string', maxLength: 128 },
  },
  'WWW-Authenticate': {
    description: 'The challenge (RFC 6750 §3).',
    schema: { type: 'string' },
  },
  Allow: { description: 'The methods of the path (RFC 9110 §10.2.1).', schema: { type: 'string' } },
  'Retry-After': {
    description: 'After how many seconds the request may be sent again (RFC 9110 §10.2.3).',
    schema: { type: 'integer', minimum: 0 },
  },
  'RateLimit-Policy': {
    description:
      'The budget, the units that it holds, and how many seconds it takes to fill (draft-ietf-httpapi-ratelimit-headers-10).',
    schema: { type: 'string' },
    example: '"key";q=200000;w=10',
  },
  RateLimit: {
    description:
      'About how many units are left, and in how many seconds there are more (draft-ietf-httpapi-ratelimit-headers-10).',
    schema: { type: 'string' },
    example: '"key";r=0;t=2',
  },
  'Idempotency-Replayed': {
    description: '`true` if this is the answer of an earlier request with the same `Idempotency-Key`.',
    schema: { type: 'string', const: 'true' },
  },
  ETag: {
    description: 'The entity tag, for `If-None-Match` of a read or `If-Match` of a write (RFC 9110 §8.8.3).',
    schema: { type: 'string' },
  },
  Age: { description: 'The age of the answer in seconds.', schema: { type: 'integer', minimum: 0 } },
  'Cache-Status': { description: 'Which tier answered, and why (RFC 9211).', schema: { type: 'string' } },
  'Cache-Control': {
    description: 'How long other caches may keep the answer (RFC 9111 §5.2).',
    schema: { type: 'string' },
  },
  Vary: {
    description: 'The request headers on which the answer depends (RFC 9110 §12.5.5).',
    schema: { type: 'string' },
  },
  'Server-Timing': {
    description: 'How long the answer took, in milliseconds; absent if it took no time.',
    schema: { type: 'string' },
  },
  'Millrace-Token': {
    description: 'A moment of the tag clock. Reads that send it are at least as fresh as this answer.',
    schema: { type: 'string', pattern: '^[0-9a-f-]{1,64}\\.\\d{1,15}$' },
  },
  Deprecation: {
    description: 'Since when the version is deprecated, as a structured date (RFC 9745).',
    schema: { type: 'string', pattern: '^@\\d+$' },
  },
  Sunset: {
    description: 'When the version may be removed, as an HTTP date (RFC 8594).',
    schema: { type: 'string' },
  },
  Link: { description: 'What describes the deprecation (RFC 8288).', schema: { type: 'string' } },
} as const;
export type HeaderName = keyof typeof HEADERS;

/** References to headers, for the `headers` of a response. */
export function headersOf(names: readonly HeaderName[]): Record<string, { readonly $ref: string }> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

export function registerHeaders(registry: Registry): void {
  for (const [name, header] of Object.entries(HEADERS)) registry.registerComponent('headers', name, header);
}

/** The headers of an answer of a deprecated route, or to events of a deprecated version. */
export const ANNOUNCED = ['Deprecation', 'Link', 'Sunset'] as const satisfies readonly HeaderName[];

/** The headers of an answer from the cache, whatever its status. */
export const CACHED_HEADERS: readonly HeaderName[] = [
  'Age',
  'Cache-Control',
  'Cache-Status',
  'Millrace-Token',
  'Server-Timing',
  'Vary',
];
