import type { RecordedAction } from '../../storage/postgres/audit.ts';
import type { TimelineEntry } from './incident.ts';

/** Actions on alerts and incidents are in a timeline already. */
const OWN = /^(alerts|incident|silence|maintenance)\./;
const TARGET_CHARACTERS_MAX = 120;

/** What the audit log says that was changed, as entries of a timeline. An action is one entry, at its begin. */
export function changesIn(actions: readonly RecordedAction[]): (TimelineEntry & { readonly key: string })[] {
  return actions
    .filter(({ action, begun }) => begun === null && !OWN.test(action))
    .map(({ id, at, principal, action, target }) => ({
      key: `audit/${id}`,
      atMs: Date.parse(at),
      kind: action.startsWith('model.') ? 'model' : 'change',
      by: principal,
      text: `${action} of ${target.slice(0, TARGET_CHARACTERS_MAX)}`,
    }));
}
