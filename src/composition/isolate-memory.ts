import { ISOLATE_MEMORY_BYTES, MODEL_MEMORY_BYTES } from '../platform/limits.ts';

/** How an isolate shares out its memory, in bytes. */

/** For answers. The runtime, the models and the requests need the rest. */
const ANSWERS_BYTES = (ISOLATE_MEMORY_BYTES * 3) / 16;
/** The part of it for the features of keys: about 1,000 keys with a dozen features. */
export const FEATURE_ROWS_BYTES = ANSWERS_BYTES / 12;
export const MEMORY_TIER_BYTES = ANSWERS_BYTES - FEATURE_ROWS_BYTES;
/** The memory of the ONNX runtime without a model: it begins with 16 MiB, and uses about half of them itself. */
const RUNTIME_BYTES = 8 * 1024 * 1024;
export const LOADED_MODELS_BYTES = MODEL_MEMORY_BYTES - RUNTIME_BYTES;
