import { Failure, type FailureCode } from '../platform/failure.ts';

/** A problem document (RFC 9457). `code` is what clients should branch on. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: FailureCode;
  readonly requestId: string;
  /** The position of the mistake in the request: a JSON Pointer into the body, or the name of a parameter or header. */
  readonly pointer?: string;
}

/** The status and the title of each code. */
export const PROBLEMS: Readonly<Record<FailureCode, readonly [status: number, title: string]>> = {
  malformed_json: [400, 'The body is not JSON'],
  incomplete_body: [400, 'The body is not complete'],
  body_too_large: [413, 'The body is too large'],
  length_required: [411, 'The length of the body is missing'],
  unsupported_media_type: [415, 'The content type is not supported'],
  unsupported_encoding: [415, 'The content encoding is not supported'],
  malformed_encoding: [400, 'The body does not match its content encoding'],
  invalid_request: [400, 'The request is not valid'],
  // The request has the form of its schema, and breaks a rule that no schema states.
  unprocessable: [422, 'The request cannot be carried out'],
  invalid_event: [422, 'Not a CloudEvents 1.0 event'],
  event_too_large: [422, 'The event is too large'],
  unknown_event_type: [422, 'The event type is not declared'],
  unknown_event_version: [422, 'The event type is not declared in this version'],
  contract_violation: [422, 'The event breaks its contract'],
  quality_violation: [422, 'The event breaks a quality rule'],
  conflicting_duplicate: [409, 'Another event has this source and id'],
  storage_refused: [422, 'The database refused the event'],
  too_many_events: [413, 'The batch has too many events'],
  invalid_token: [400, 'The token is not valid'],
  invalid_cursor: [400, 'The cursor is not valid'],
  token_from_another_epoch: [412, 'The token is from another epoch'],
  token_from_the_future: [412, 'The token is from the future'],
  unauthorized: [401, 'A key is needed'],
  issuer_unavailable: [503, 'The token issuer is not available'],
  insufficient_scope: [403, 'The key lacks a scope'],
  claim_missing: [403, 'The key or token lacks a claim'],
  outside_rows: [403, 'The rows belong to another owner'],
  rows_not_limited: [403, 'The route cannot be limited to rows'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'The path has no such method'],
  not_acceptable: [406, 'No answer has an accepted media type'],
  address_too_long: [414, 'The address is too long'],
  headers_too_large: [431, 'The headers are too large'],
  rate_limited: [429, 'Too many requests'],
  idempotency_in_flight: [409, 'A request with this key is under way'],
  idempotency_key_reused: [422, 'The idempotency key belongs to another request'],
  idempotency_answer_omitted: [409, 'The answer to this key was too large to keep'],
  idempotency_unavailable: [503, 'The idempotency keys are not available'],
  key_ended: [409, 'The key was revoked or has expired'],
  run_ended: [409, 'The run has already ended differently'],
  still_referenced: [409, 'Other rows refer to it'],
  precondition_failed: [412, 'The precondition is not met'],
  precondition_unsupported: [412, 'The operation evaluates no precondition'],
  history_pruned: [409, 'Retention has deleted a part of the range'],
  replay_superseded: [409, 'Another rebuild was started'],
  unknown_model: [404, 'The model is not declared'],
  unknown_element: [404, 'The catalog has no such element'],
  ambiguous_element: [409, 'Several elements have the name'],
  phase_off: [503, 'The phase is switched off'],
  phase_gates_closed: [409, 'Gates of the phase do not hold'],
  phase_approval_refused: [409, 'The switch cannot be approved'],
  model_unavailable: [503, 'The model is not available'],
  invalid_model: [422, 'The model is not valid'],
  over_budget: [422, 'The model is too slow'],
  dataset_too_large: [422, 'The dataset is too large'],
  dataset_empty: [422, 'The dataset has no rows'],
  recipe_changed: [409, 'The declaration of the dataset has changed'],
  too_many_datasets: [409, 'There are too many datasets'],
  training_active: [409, 'A training run cannot begin now'],
  alias_changed: [409, 'The alias names another version'],
  rollout_conflict: [409, 'The rollout is elsewhere'],
  version_in_use: [409, 'An alias names the version'],
  no_earlier_version: [409, 'There is no earlier version'],
  tensor_mismatch: [422, 'The tensor does not fit the model'],
  not_explainable: [422, 'The answer cannot be explained exactly'],
  unknown_feature: [422, 'The feature is not declared'],
  unknown_feature_version: [422, 'The version of the feature is not known'],
  feature_version_gone: [422, 'The version of the feature is not kept any more'],
  unknown_entity: [422, 'The entity is not declared'],
  unknown_item: [422, 'The item does not exist'],
  database_unavailable: [503, 'The database is not available'],
  features_unavailable: [503, 'The feature store is not available'],
  clock_unavailable: [503, 'The tag clock is not available'],
  queue_unavailable: [503, 'The queue is not available'],
  datasets_unavailable: [503, 'Datasets are not available'],
  training_unavailable: [503, 'Training runs are not available'],
  relay_unavailable: [503, 'The relay is not available'],
  statistics_unavailable: [503, 'The counts are not available'],
  alerts_unavailable: [503, 'The alerts are not available'],
  feed_unavailable: [503, 'The feed is not available'],
  kafka_unavailable: [503, 'Kafka is not available'],
  internal: [500, 'Something went wrong'],
};

/** `WWW-Authenticate` (RFC 6750 §3). */
const CHALLENGES: Partial<Record<FailureCode, string>> = {
  unauthorized: 'Bearer realm="millrace"',
  insufficient_scope: 'Bearer realm="millrace", error="insufficient_scope"',
};

/** How the body of a failure is written: as a problem, or as the Open Inference Protocol has it. */
export type FailureForm = 'problem' | 'open_inference';

/** The form of the failures at a path. */
export function failureFormAt(path: string): FailureForm {
  return path === '/v2' || path.startsWith('/v2/') ? 'open_inference' : 'problem';
}

/** The response to an error. An error that is not a `Failure` is a bug: its response shows only the request's id. */
export function problemResponse(error: unknown, requestId: string, form: FailureForm = 'problem'): Response {
  const failure =
    error instanceof Failure
      ? error
      : new Failure('internal', 'The server failed. Report the request id; the log has the error under it.');
  const problem = problemOf(failure, requestId);
  const headers = new Headers({
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'x-request-id': requestId,
    'x-content-type-options': 'nosniff',
  });
  if (failure.retryAfterS !== undefined) headers.set('retry-after', String(failure.retryAfterS));
  // RFC 9110 §15.5.16: what the client may send instead.
  if (failure.code === 'unsupported_encoding') headers.set('accept-encoding', 'gzip, identity');
  const challenge = CHALLENGES[failure.code];
  if (challenge !== undefined) headers.set('www-authenticate', challenge);
  if (form === 'open_inference') return openInferenceError(problem, headers);
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

/** The problem document of a failure. */
export function problemOf(failure: Failure, requestId: string): Problem {
  const [status, title] = PROBLEMS[failure.code];
  return {
    type: `urn:millrace:problem:${failure.code}`,
    title,
    status,
    detail: failure.message,
    code: failure.code,
    requestId,
    ...(failure.pointer === undefined ? {} : { pointer: failure.pointer }),
  };
}

/** The protocol has one body for all failures, and 400 for a request that does not fit the model. */
function openInferenceError({ status, detail, pointer }: Problem, headers: Headers): Response {
  headers.set('content-type', 'application/json');
  const error = pointer === undefined || pointer === '' ? detail : `${detail} (${pointer})`;
  return new Response(JSON.stringify({ error }), { status: status === 422 ? 400 : status, headers });
}
