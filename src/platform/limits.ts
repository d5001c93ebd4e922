/**
 * The numbers that the platform sets, each with its unit and its source. Code that has to stay within one imports it
 * from here, so that a new limit is one edit. What Millrace chooses for itself stands where it is used.
 *
 * Sources are pages of https://developers.cloudflare.com, read in November 2026. Where the free and the paid plan
 * differ, the paid plan is meant.
 */

const KB = 1_000;
const MIB = 1024 * 1024;

/** Memory of an isolate, in bytes; objects of a class may share one. workers/platform/limits#memory */
export const ISOLATE_MEMORY_BYTES = 128 * MIB;
/**
 * The isolate's share of memory for models: the WASM memory of the ONNX runtime, which grows and never shrinks. Beside
 * it stand the answers in memory (24 MiB), the artifact that is being loaded (up to 16 MiB), and the worker's own code
 * and requests.
 */
export const MODEL_MEMORY_BYTES = ISOLATE_MEMORY_BYTES / 2;
/** Calls to other services in one invocation. workers/platform/limits#subrequests */
export const SUBREQUESTS_MAX = 1_000;
/** The same on the free plan. */
export const SUBREQUESTS_FREE_MAX = 50;
/** Connections that an invocation may hold open at a time. workers/platform/limits#simultaneous-open-connections */
export const OPEN_CONNECTIONS_MAX = 6;

/** Bytes of a message. queues/platform/limits */
export const QUEUE_MESSAGE_BYTES_MAX = 128 * KB;
/** Bytes of all messages of one `sendBatch`. queues/platform/limits */
export const QUEUE_SEND_BYTES_MAX = 256 * KB;
/** Messages of one `sendBatch`. queues/platform/limits */
export const QUEUE_SEND_MESSAGES_MAX = 100;
/** Messages of a consumer's batch. queues/platform/limits */
export const QUEUE_CONSUMER_MESSAGES_MAX = 100;
/** Retries after which the platform gives a message up. queues/platform/limits */
export const QUEUE_RETRIES_MAX = 100;

/** The least `expirationTtl` of a key, in seconds. kv/api/write-key-value-pairs */
export const KV_TTL_S_MIN = 60;
/** Bytes of a key. kv/platform/limits */
export const KV_KEY_BYTES_MAX = 512;

/** The least `max-age` with which the Cache API keeps a response, in seconds. workers/runtime-apis/cache */
export const COLO_TTL_S_MIN = 1;

/** Bytes of a string, BLOB or row in the SQLite of an object. durable-objects/platform/limits */
export const SQL_VALUE_BYTES_MAX = 2 * MIB;
/** Requests that an object answers in a second, roughly. durable-objects/platform/limits */
export const OBJECT_REQUESTS_PER_SECOND = 1_000;
