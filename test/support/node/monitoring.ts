import { executable } from './executable.ts';

/** Prometheus' own checker; undefined if it is not in the path. */
export const PROMTOOL = executable('promtool');
/** Alertmanager; undefined if it is not in the path. Debian's package names it after Prometheus. */
export const ALERTMANAGER = executable('alertmanager', 'prometheus-alertmanager');
/** Prometheus itself; undefined if it is not in the path. */
export const PROMETHEUS = executable('prometheus');
export const PROMETHEUS_TITLE =
  PROMETHEUS === undefined
    ? 'Prometheus (skipped: it is not in the path; .ci/run installs it)'
    : 'Prometheus';
/** For the titles of tests. */
export const MONITORING_TITLE =
  PROMTOOL === undefined || ALERTMANAGER === undefined
    ? 'Prometheus and Alertmanager (skipped: one of them is not in the path; .ci/run installs both)'
    : 'Prometheus and Alertmanager';
