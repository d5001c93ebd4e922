/**
 * Loaded before each test file in workerd. The files share an isolate, because each would spend seconds to load the same
 * modules again; they share no stored state.
 */
import { reset } from 'cloudflare:test';
import { beforeAll } from 'vitest';
import { resetBreakers } from '../../../src/platform/breakers.ts';

// There is no database, and objects of an earlier file may still ask it. Without time no breaker opens, so their failures
// refuse no call of a test. test/e2e/breakers.long.test.ts has the breakers of a built worker.
resetBreakers(() => 0);

beforeAll(reset);
