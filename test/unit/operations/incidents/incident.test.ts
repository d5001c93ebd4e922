import { describe, expect, it } from 'vitest';
import type { Alert } from '../../../../src/operations/alerts/alerts.ts';
import { changesIn } from '../../../../src/operations/incidents/changes.ts';
import {
  acted,
  type Incident,
  ofAlert,
  openedByHand,
} from '../../../../src/operations/incidents/incident.ts';
import { postMortem } from '../../../../src/operations/incidents/post-mortem.ts';

const NOON = Date.UTC(2026, 10, 30, 12);
const MINUTE_MS = 60_000;
const alert: Alert = {
  ...{ id: 'a1', alertname: 'MillraceDependencyFails', labels: { peer: 'database' }, severity: 'page' },
  ...{ state: 'firing', sinceMs: NOON, firedMs: NOON, resolvedMs: null, summary: 'database fails.' },
  ...{ description: 'All calls.', runbook: 'docs/runbooks/dependency-fails.md', inhibitedBy: null },
  ...{ silencedBy: null, notified: 'page', notifiedMs: NOON, times: 1, instances: [] },
};
const at = (minutes: number) => NOON + minutes * MINUTE_MS;
const openedBy = (of: Alert = alert): Incident => {
  const step = ofAlert({ type: 'firing', alert: of }, [], NOON);
  if (step === undefined) throw new Error('It opens an incident.');
  return { ...step.step.incident, id: 1 };
};

describe('an alert', () => {
  it('opens an incident if it is a page, and not if it is a ticket', () => {
    expect(openedBy()).toMatchObject({ state: 'open', severity: 'page', cause: 'database', alert: 'a1' });
    expect(ofAlert({ type: 'firing', alert: { ...alert, severity: 'ticket' } }, [], NOON)).toBeUndefined();
    expect(ofAlert({ type: 'repeated', alert }, [], NOON)).toBeUndefined();
  });

  it('ends its own incident, also if that is acknowledged, and no other', () => {
    const resolved = { type: 'resolved', alert: { ...alert, state: 'resolved' } } as const;
    const incident = acted(openedBy(), { do: 'acknowledge' }, 'key:a', at(1))?.incident;
    const known = { ...openedBy(), ...incident };
    expect(ofAlert(resolved, [known], at(5))).toMatchObject({ id: 1, step: { told: 'resolved' } });
    expect(ofAlert(resolved, [{ ...known, group: 'another' }], at(5))).toBeUndefined();
  });

  it('opens its incident again for a quarter of an hour, and then another', () => {
    const ended: Incident = { ...openedBy(), state: 'resolved', resolvedMs: at(10) };
    const again = (minutes: number) => ofAlert({ type: 'firing', alert }, [ended], at(minutes));
    expect(again(25)).toMatchObject({ id: 1, step: { told: 'opened', incident: { state: 'open' } } });
    expect(again(26)).toMatchObject({ id: undefined, step: { told: 'opened' } });
  });
});

describe('what people do', () => {
  it('changes nothing twice, and nothing after the end, but a note', () => {
    const open = {
      ...openedByHand({ title: 't', severity: 'ticket', text: '' }, 'key:a', NOON).incident,
      id: 2,
    };
    const acknowledged = { ...open, ...acted(open, { do: 'acknowledge' }, 'key:b', at(1))?.incident };
    expect(acknowledged).toMatchObject({ state: 'acknowledged', acknowledgedBy: 'key:b' });
    expect(acted(acknowledged, { do: 'acknowledge' }, 'key:b', at(2))).toBeUndefined();
    expect(acted(acknowledged, { do: 'severity', severity: 'ticket' }, 'key:b', at(2))).toBeUndefined();
    const ended = {
      ...acknowledged,
      ...acted(acknowledged, { do: 'resolve', text: 'x' }, 'key:b', at(3))?.incident,
    };
    expect(acted(ended, { do: 'severity', severity: 'page' }, 'key:b', at(4))).toBeUndefined();
    expect(acted(ended, { do: 'note', text: 'later' }, 'key:b', at(4))?.entry.kind).toBe('note');
  });
});

it('the audit log has changes and changes of models, each once, and not what is in the timeline already', () => {
  const entry = { at: '2026-11-30T11:50:00.000000Z', principal: 'key:a', target: 'ranker', begun: null };
  const rest = { outcome: 'done', detail: {}, before: null, after: null, hash: '' } as const;
  const actions = ['model.publish', 'cache.purge', 'incident.note', 'silence.create'];
  const found = changesIn([
    ...actions.map((action, id) => ({ ...entry, ...rest, id, action })),
    { ...entry, ...rest, id: 9, action: 'cache.purge', begun: 1 },
  ]);
  expect(found.map(({ key, kind, text }) => [key, kind, text])).toEqual([
    ['audit/0', 'model', 'model.publish of ranker'],
    ['audit/1', 'change', 'cache.purge of ranker'],
  ]);
});

it('a post-mortem has what is known, and nothing that Markdown would interpret', () => {
  const incident: Incident = {
    ...openedBy(),
    ...{ title: 'a <script> | `x`', state: 'resolved', acknowledgedMs: at(2), acknowledgedBy: 'key:a' },
    ...{ resolvedMs: at(12), impact: { availability: { bad: 30, all: 600 }, quality: { bad: 0, all: 9 } } },
  };
  const draft = postMortem(incident, [
    { atMs: at(-20), kind: 'deploy', by: 'system:alerts', text: 'Version v2 is deployed.' },
    { atMs: NOON, kind: 'alert', by: 'system:alerts', text: 'It fires.' },
    { atMs: at(3), kind: 'note', by: 'key:a', text: 'a | b\n# no heading' },
  ]);
  expect(draft).toContain('# Incident 1: a &lt;script> \\| \\`x\\`');
  expect(draft).toContain('| Acknowledged | 2026-11-30T12:02:00Z, after 2 minutes |');
  expect(draft).toContain('- `availability`: 30 of 600 events were bad (5.00 %).');
  expect(draft).toContain('- 20 minutes before: Version v2 is deployed.');
  expect(draft).toContain('| 2026-11-30T12:03:00Z | note | key:a | a \\| b # no heading |');
  expect(draft).not.toContain('quality');
});
