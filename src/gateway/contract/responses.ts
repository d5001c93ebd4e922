import { Failure } from '../../platform/failure.ts';
import { type FailureForm, PROBLEMS, type Problem, problemOf } from '../problem.ts';
import { type HeaderName, headersOf, type Registry } from './headers.ts';

/** The facts of an operation that decide which answers it shares with other operations. */
export interface OperationFacts {
  /** Whether it needs a key, takes one, or ignores any. */
  readonly key: 'needed' | 'taken' | 'ignored';
  readonly hasBody: boolean;
  /** Whether a successful answer has a body, whose media type a client may not accept. */
  readonly hasContent: boolean;
  /** Whether it is a read that no cache answers, and that honours `If-None-Match` and `If-Match`. */
  readonly isConditional: boolean;
  /** Whether it refuses `If-Match`, because it has nothing to compare it with. */
  readonly refusesPreconditions: boolean;
  /** Whether a cache answers it. */
  readonly isCached: boolean;
  /** Whether it honours `Idempotency-Key`. */
  readonly takesIdempotencyKey: boolean;
  /** The form of its failures. */
  readonly form: FailureForm;
}

/** An answer that many operations share. */
interface SharedAnswer {
  readonly status: number;
  /** Its name among the components. */
  readonly name: string;
  readonly description: string;
  /** The headers beside the id of the request. */
  readonly headers: readonly HeaderName[];
  /** Failures that end with it, as examples. */
  readonly examples: readonly Failure[];
  readonly isGivenBy: (facts: OperationFacts) => boolean;
}

const always = () => true;

/**
 * The answers that an operation has because of what it is, and not because of what it does. A route declares only its
 * own answers; one that it declares itself for the same status takes precedence.
 */
const SHARED: readonly SharedAnswer[] = [
  {
    status: 400,
    name: 'BadRequest',
    description: 'The address, a parameter, a header or the body is not valid; `pointer` names it.',
    headers: [],
    examples: [new Failure('invalid_request', 'Too big: expected number to be <=100', { pointer: 'limit' })],
    isGivenBy: always,
  },
  {
    status: 401,
    name: 'Unauthorized',
    description: 'The key is missing, unknown, revoked, expired or rotated.',
    headers: ['WWW-Authenticate'],
    examples: [
      new Failure('unauthorized', 'Send the key as "Authorization: Bearer <key>".', {
        pointer: 'Authorization',
      }),
    ],
    isGivenBy: ({ key }) => key !== 'ignored',
  },
  {
    status: 403,
    name: 'Forbidden',
    description: 'The key lacks the scope that `security` of the operation names.',
    headers: ['WWW-Authenticate'],
    examples: [
      new Failure('insufficient_scope', 'The key needs the scope data:read. Use a key that has it.', {
        pointer: 'Authorization',
      }),
    ],
    isGivenBy: ({ key }) => key === 'needed',
  },
  {
    status: 405,
    name: 'MethodNotAllowed',
    description: 'The path has no such method. It gives this answer to methods that are not described here.',
    headers: ['Allow'],
    examples: [new Failure('method_not_allowed', 'This path has no PATCH. It allows GET, HEAD, OPTIONS.')],
    isGivenBy: always,
  },
  {
    status: 406,
    name: 'NotAcceptable',
    description: '`Accept` admits neither JSON nor a media type of the operation.',
    headers: [],
    examples: [
      new Failure('not_acceptable', 'The answer is application/json. Accept it, or leave Accept out.', {
        pointer: 'Accept',
      }),
    ],
    isGivenBy: ({ hasContent }) => hasContent,
  },
  {
    status: 409,
    name: 'Conflict',
    description:
      'A request with this `Idempotency-Key` is under way, or its answer was too large to keep; or what the operation describes.',
    headers: ['Retry-After'],
    examples: [
      new Failure(
        'idempotency_in_flight',
        'An earlier request with this Idempotency-Key is under way. Send the request again to get its answer.',
        { pointer: 'Idempotency-Key' },
      ),
    ],
    isGivenBy: (facts) => facts.takesIdempotencyKey,
  },
  {
    status: 412,
    name: 'PreconditionFailed',
    description:
      'The resource does not have an entity tag of `If-Match`, or the operation evaluates no precondition.',
    headers: [],
    examples: [
      new Failure('precondition_failed', 'The resource has another entity tag. Read it again.', {
        pointer: 'If-Match',
      }),
    ],
    isGivenBy: ({ isConditional, refusesPreconditions }) => isConditional || refusesPreconditions,
  },
  {
    status: 413,
    name: 'ContentTooLarge',
    description: 'The body has more bytes than the operation takes, packed or unpacked.',
    headers: [],
    examples: [
      new Failure(
        'body_too_large',
        'The body has 70000 bytes; at most 65536 are allowed. Send less in one request.',
      ),
    ],
    isGivenBy: ({ hasBody }) => hasBody,
  },
  {
    status: 414,
    name: 'UriTooLong',
    description: 'The address is too long.',
    headers: [],
    examples: [new Failure('address_too_long', 'The address has more than 16384 characters.')],
    isGivenBy: always,
  },
  {
    status: 415,
    name: 'UnsupportedMediaType',
    description: 'The body has another media type or content coding than the operation takes.',
    headers: [],
    examples: [
      new Failure('unsupported_media_type', 'Send application/json, not text/plain.', {
        pointer: 'Content-Type',
      }),
    ],
    isGivenBy: ({ hasBody }) => hasBody,
  },
  {
    status: 422,
    name: 'UnprocessableContent',
    description:
      'The request has the form of its schema, and breaks a rule that no schema states; or its `Idempotency-Key` belongs to another request.',
    headers: [],
    examples: [new Failure('unprocessable', 'The expiry is in the past.', { pointer: '/expiresAt' })],
    isGivenBy: ({ hasBody, takesIdempotencyKey }) => hasBody || takesIdempotencyKey,
  },
  {
    status: 429,
    name: 'TooManyRequests',
    description: 'A budget is used up; see docs/gateway.md.',
    headers: ['RateLimit-Policy', 'RateLimit', 'Retry-After'],
    examples: [
      new Failure('rate_limited', 'This key has used up its budget. Send the request again after 2 s.'),
    ],
    isGivenBy: always,
  },
  {
    status: 431,
    name: 'RequestHeaderFieldsTooLarge',
    description: 'All headers together are too large.',
    headers: [],
    examples: [
      new Failure('headers_too_large', 'The headers have 70000 characters; at most 65536 are allowed.'),
    ],
    isGivenBy: ({ isCached }) => !isCached,
  },
  {
    status: 500,
    name: 'InternalError',
    description: 'A bug. The log has the error under the id of the request.',
    headers: [],
    examples: [
      new Failure('internal', 'The server failed. Report the request id; the log has the error under it.'),
    ],
    isGivenBy: always,
  },
  {
    status: 503,
    name: 'ServiceUnavailable',
    description: 'A dependency does not answer. The same request may be sent again.',
    headers: ['Retry-After'],
    examples: [new Failure('database_unavailable', 'The database does not answer. Try again shortly.')],
    isGivenBy: ({ key }) => key !== 'ignored',
  },
];

/**
 * The shared answers of an operation, by status, as references. The Open Inference Protocol has 400 in place of 422, and
 * its own body for each failure.
 */
export function sharedAnswers(facts: OperationFacts): Record<string, { readonly $ref: string }> {
  const isProblem = facts.form === 'problem';
  return Object.fromEntries(
    SHARED.filter(({ status, isGivenBy }) => isGivenBy(facts) && (isProblem || status !== 422)).map(
      ({ status, name }) => [
        status,
        { $ref: `#/components/responses/${isProblem ? name : `OpenInference${name}`}` },
      ],
    ),
  );
}

/** The headers of a failure with a status, beside the id of the request. */
export function failureHeaders(status: string): readonly HeaderName[] {
  return SHARED.find((shared) => String(shared.status) === status)?.headers ?? [];
}

/** The body of every failure under `/v2`. */
const OpenInferenceError = {
  type: 'object' as const,
  required: ['error'],
  properties: { error: { type: 'string' as const } },
};

/** Registers the shared answers as components, in both forms of failures. */
export function registerAnswers(registry: Registry): void {
  for (const { name, description, headers, examples, status } of SHARED) {
    const common = { description, headers: headersOf(['X-Request-Id', ...headers]) };
    registry.registerComponent('responses', name, {
      ...common,
      content: {
        'application/problem+json': {
          schema: { $ref: '#/components/schemas/Problem' },
          ...examplesOf(examples),
        },
      },
    });
    if (status !== 422)
      registry.registerComponent('responses', `OpenInference${name}`, {
        ...common,
        content: { 'application/json': { schema: OpenInferenceError } },
      });
  }
}

function examplesOf(failures: readonly Failure[]) {
  if (failures.length === 0) return {};
  const shown = failures.map((failure) => [failure.code, { value: exampleOf(failure) }]);
  return { examples: Object.fromEntries(shown) };
}

function exampleOf(failure: Failure): Problem {
  return problemOf(failure, '01980c0e-7f3a-7b52-9d2e-6a1f0c3b9e57');
}

/** Every code of a problem with its status, for the description of the schema. */
export function problemCodes(): string {
  const byStatus = Map.groupBy(Object.entries(PROBLEMS), ([, [status]]) => status);
  return [...byStatus]
    .toSorted(([a], [b]) => a - b)
    .map(([status, codes]) => `${status}: ${codes.map(([code]) => `\`${code}\``).join(', ')}`)
    .join('; ');
}
