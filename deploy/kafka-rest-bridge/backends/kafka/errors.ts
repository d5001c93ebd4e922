import { findErrorBy } from '@platformatic/kafka';
import { RequestError } from '../../errors.ts';

/** The status for each error of the cluster. Any other error is a 503, because the cluster may recover. */
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

/** Runs a call of the client library and converts its errors to those for the caller. */
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

/** The library nests the errors of retries and partitions; the innermost error has the cause. */
function innermost(error: Error): Error {
  let inner: Error = error;
  while (inner instanceof AggregateError && inner.errors[0] instanceof Error) inner = inner.errors[0];
  return inner;
}
