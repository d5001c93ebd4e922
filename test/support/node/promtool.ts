import { executable } from './executable.ts';

/** Prometheus' own checker; undefined if it is not in the path. */
export const PROMTOOL = executable('promtool');
/** For the titles of tests. */
export const PROMTOOL_TITLE =
  PROMTOOL ?? 'promtool (skipped: it is not in the path; .ci/run installs Prometheus)';
