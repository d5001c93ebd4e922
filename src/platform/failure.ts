/**
 * Every way in which a request can fail from a caller's point of view. The set is closed: the gateway maps each code to
 * a status and a title, and a code without a mapping does not compile.
 */
const FAILURE_CODES = [
  'malformed_json',
  'incomplete_body',
  'body_too_large',
  'length_required',
  'unsupported_media_type',
  'unsupported_encoding',
  'malformed_encoding',
  'invalid_request',
  'unprocessable',
  'invalid_event',
  'event_too_large',
  'unknown_event_type',
  'unknown_event_version',
  'contract_violation',
  'quality_violation',
  'conflicting_duplicate',
  'storage_refused',
  'too_many_events',
  'invalid_token',
  'invalid_cursor',
  'token_from_another_epoch',
  'token_from_the_future',
  'unauthorized',
  'issuer_unavailable',
  'insufficient_scope',
  'claim_missing',
  'outside_rows',
  'rows_not_limited',
  'not_found',
  'method_not_allowed',
  'not_acceptable',
  'address_too_long',
  'headers_too_large',
  'key_ended',
  'idempotency_in_flight',
  'idempotency_key_reused',
  'idempotency_answer_omitted',
  'idempotency_unavailable',
  'rate_limited',
  'run_ended',
  'still_referenced',
  'precondition_failed',
  'precondition_unsupported',
  'history_pruned',
  'replay_superseded',
  'unknown_model',
  'model_unavailable',
  'invalid_model',
  'over_budget',
  'dataset_too_large',
  'dataset_empty',
  'recipe_changed',
  'too_many_datasets',
  'training_active',
  'alias_changed',
  'rollout_conflict',
  'version_in_use',
  'no_earlier_version',
  'tensor_mismatch',
  'not_explainable',
  'unknown_feature',
  'unknown_feature_version',
  'feature_version_gone',
  'unknown_entity',
  'unknown_element',
  'ambiguous_element',
  'unknown_item',
  'database_unavailable',
  'features_unavailable',
  'clock_unavailable',
  'queue_unavailable',
  'relay_unavailable',
  'statistics_unavailable',
  'alerts_unavailable',
  'datasets_unavailable',
  'training_unavailable',
  'feed_unavailable',
  'kafka_unavailable',
  'phase_off',
  'phase_gates_closed',
  'phase_approval_refused',
  'internal',
] as const;
export type FailureCode = (typeof FAILURE_CODES)[number];

export function isFailureCode(value: unknown): value is FailureCode {
  return FAILURE_CODES.some((code) => code === value);
}

/** An expected failure, returned as a value or thrown. It contains nothing that a caller may not see. */
export class Failure extends Error {
  readonly code: FailureCode;
  /** JSON Pointer (RFC 6901) into the request body, or the name of a parameter or header. */
  readonly pointer: string | undefined;
  readonly retryAfterS: number | undefined;

  constructor(
    code: FailureCode,
    detail: string,
    options: { pointer?: string | undefined; retryAfterS?: number; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.code = code;
    this.pointer = options.pointer;
    this.retryAfterS = options.retryAfterS;
  }
}

/** Converts the path of a schema error to a JSON Pointer (RFC 6901). */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/**
 * Calls a dependency and turns any of its errors into a failure that the client may retry.
 *
 * @throws Failure `code`
 */
export async function calling<T>(
  call: () => Promise<T>,
  code: FailureCode,
  detail: string,
  retryAfterS: number,
): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    throw new Failure(code, detail, { retryAfterS, cause });
  }
}

/** The most wrappers of an error that are unwrapped. Drivers and stubs add some. */
const CAUSES_MAX = 5;

/** The name and message of an error's innermost cause, which states the reason. */
export function reasonOf(error: unknown): string {
  let root = error;
  for (let depth = 0; root instanceof Error && root.cause instanceof Error && depth < CAUSES_MAX; depth += 1)
    root = root.cause;
  return root instanceof Error ? `${root.name}: ${root.message}` : String(root);
}
