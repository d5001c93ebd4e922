/**
 * Loaded before each test file in workerd. The files share an isolate, because each would spend seconds to load the same
 * modules again; they share no stored state.
 */
import { reset } from 'cloudflare:test';
import { beforeAll } from 'vitest';

beforeAll(reset);
