import { findErrorBy } from '@platformatic/kafka';
import { RequestError } from '../../errors.ts';

/** What the caller is told of the cluster's errors; the rest is 503, for the cluster may be well again later. */
const STATUS_OF_ERROR: Readonly<Record<string, number>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 404,
  MESSAGE_TOO_LARGE: 413,
  RECORD_LIST_TOO_LARGE: 413,
  INVALID_TIMESTAMP: 400,
  INVALID_RECORD: 400,
  INVALID_GROUP_ID: 400,
  INVALID_SESSION_TIMEOUT: 400,
  INCONSISTENT_GROUP_PROTOCOL: 409,
  TOPIC_AUTHORIZATION_FAILED: 403,
  GROUP_AUTHORIZATION_FAILED: 403,
  CLUSTER_AUTHORIZATION_FAILED: 403,
  GROUP_MAX_SIZE_REACHED: 429,
  POLICY_VIOLATION: 403,
};

export function hasKafkaCode(error: unknown, code: string): boolean {
  return error instanceof Error && findErrorBy(error, 'apiId', code) !== null;
}

/** Runs a call of the client library and throws its errors as the caller is to see them. */
export async function asking<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw toRequestError(error);
  }
}

export function toRequestError(error: unknown): unknown {
  if (error instanceof RequestError || !(error instanceof Error)) return error;
  for (const [code, status] of Object.entries(STATUS_OF_ERROR)) {
    const found = findErrorBy(error, 'apiId', code);
    if (found !== null) return new RequestError(status, found.message);
  }
  return new RequestError(503, `The Kafka cluster has not done it: ${innermost(error).message}`);
}

/** The library wraps errors of tries and partitions in each other; the innermost says what happened. */
function innermost(error: Error): Error {
  let inner: Error = error;
  while (inner instanceof AggregateError && inner.errors[0] instanceof Error) inner = inner.errors[0];
  return inner;
}
