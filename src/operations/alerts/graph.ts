import type { Peer } from '../../platform/peer.ts';
import { isMatch, type Matcher } from './selectors.ts';

/** A service, or the database. */
export type Dependency = Peer | 'database';

/** What fails where a service does, because it calls that service. */
export const DEPENDENTS: Partial<Readonly<Record<Dependency, readonly Peer[]>>> = {
  database: ['outbox-relay', 'kafka-source', 'datasets', 'training-runs', 'rollouts', 'feedback'],
  'root-clock': ['regional-clock', 'outbox-relay'],
  kafka: ['kafka-source'],
};

/** Services without which requests are answered otherwise (docs/operations.md, "When a service hangs or fails"). */
export const FELT_BY_USERS: readonly Dependency[] = [
  ...(['database', 'root-clock', 'outbox-relay', 'queue', 'feature-shard', 'artifacts'] as const),
];

/** Labels of an alert. `alertname` is one of them. */
export type Labels = Readonly<Record<string, string>>;

/** While an alert of `source` is active, alerts of `target` are withheld; for `equal` labels only. */
export interface Inhibition {
  readonly source: Readonly<Record<string, Matcher>>;
  readonly target: Readonly<Record<string, Matcher>>;
  readonly equal?: readonly string[];
}

/**
 * One cause is one notification: while a service fails that users feel, the alerts of objectives are withheld, and so are
 * those of the services that call it. Everything is withheld while nothing can be counted. Of one objective a page withholds
 * the tickets.
 */
export function inhibitionsOf(
  names: { readonly down: string; readonly dependency: string },
  burning: readonly string[],
): Inhibition[] {
  const failing = { is: names.dependency };
  return [
    { source: { alertname: { is: names.down } }, target: { alertname: { not: names.down } } },
    {
      source: { alertname: failing, peer: { oneOf: FELT_BY_USERS } },
      target: { alertname: { oneOf: burning } },
    },
    ...Object.entries(DEPENDENTS).map(([peer, dependents]) => ({
      source: { alertname: failing, peer: { is: peer } },
      target: { alertname: failing, peer: { oneOf: dependents } },
    })),
    {
      source: { severity: { is: 'page' } },
      target: { severity: { is: 'ticket' } },
      equal: ['alertname', 'objective', 'peer'],
    },
  ];
}

/** Whether the first of two alerts withholds the second. */
export function inhibits({ source, target, equal = [] }: Inhibition, cause: Labels, effect: Labels): boolean {
  return (
    isLabelled(source, cause) &&
    isLabelled(target, effect) &&
    equal.every((label) => (cause[label] ?? '') === (effect[label] ?? ''))
  );
}

/** Whether labels fulfil all conditions. */
export function isLabelled(conditions: Readonly<Record<string, Matcher>>, labels: Labels): boolean {
  return Object.entries(conditions).every(([label, matcher]) => isMatch(matcher, labels[label] ?? ''));
}
