/** Memory of an isolate, in bytes, for the worker and for the Durable Objects in it. */
export const ISOLATE_MEMORY_BYTES = 128 * 1024 * 1024;
