/**
 * Loaded before anything that starts the local platform. Miniflare writes the configuration of workerd into one buffer
 * that grows by 4 KiB, and copies all of it each time. With the 14 MB of the ONNX runtime in it, that is 2 to 3 s of CPU
 * time at each start. This raises the growth in the module's text when Node loads it; nothing else changes.
 */
import { registerHooks } from 'node:module';

const MODULE = '/miniflare/dist/src/index.js';
const GROWTH = 'var MIN_SINGLE_SEGMENT_GROWTH = 4096;';
/** A configuration has about 20 MB, so it is copied a few times. */
const RAISED = 'var MIN_SINGLE_SEGMENT_GROWTH = 8388608;';

/** Vitest loads this for each test file, and several files may share a process. */
const REGISTERED = Symbol.for('millrace.miniflare-growth');

if (!(REGISTERED in globalThis)) {
  Object.defineProperty(globalThis, REGISTERED, { value: true });
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith(MODULE)) return loaded;
      const text = String(loaded.source);
      if (!text.includes(GROWTH))
        throw new Error(
          `${MODULE} has no line "${GROWTH}". Delete ${import.meta.filename} if it is not needed.`,
        );
      return { ...loaded, source: text.replace(GROWTH, RAISED) };
    },
  });
}
