/** What is listed of the deployment's state: a route, the rows of its answer, and what its reader may do. Pure. */
import { memberOf } from '../answers.ts';
import { listOf, textOf } from '../registry.ts';
import { ago, count } from './format.ts';

export interface Cell {
  readonly text: string;
  readonly tone?: 'good' | 'warn' | 'bad';
}

/** Something that the reader's key may allow. It is asked once more before it is done. */
export interface Action {
  readonly label: string;
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  /** What will happen, as a question. */
  readonly ask: string;
}

export interface Row {
  readonly cells: readonly Cell[];
  readonly actions: readonly Action[];
}

export interface List {
  readonly id: string;
  readonly title: string;
  readonly hint: string;
  readonly address: string;
  readonly head: readonly string[];
  readonly rows: (json: unknown, nowMs: number) => Row[];
  /** What is said without a row: what that means, and what to do. */
  readonly empty: string;
  /** What may be done whatever is listed. */
  readonly actions?: readonly Action[];
}

const cell = (text: string, tone?: Cell['tone']): Cell => (tone === undefined ? { text } : { text, tone });
const row = (cells: readonly Cell[], actions: readonly Action[] = []): Row => ({ cells, actions });

const ALERT_TONES: Readonly<Record<string, Cell['tone']>> = {
  firing: 'bad',
  pending: 'warn',
  resolved: 'good',
};

export const ALERTS: List = {
  id: 'alerts',
  title: 'Alerts',
  hint: 'As of the newest evaluation of the objectives, once a minute. One that its cause withholds names it.',
  address: '/v1/admin/alerts',
  head: ['State', 'Alert', 'What', 'Since', 'Runbook'],
  empty: 'No alert is pending or firing.',
  rows: (json, nowMs) =>
    listOf(json, 'alerts').map((alert) => {
      const state = textOf(alert, 'state');
      const held = textOf(alert, 'inhibitedBy') || (textOf(alert, 'silencedBy') === '' ? '' : 'a silence');
      const name = textOf(alert, 'alertname');
      return row(
        [
          cell(state, ALERT_TONES[state]),
          cell(name),
          cell(`${textOf(alert, 'summary')}${held === '' ? '' : ` (withheld by ${held})`}`),
          cell(ago(textOf(alert, 'since'), nowMs)),
          cell(textOf(alert, 'runbook')),
        ],
        state === 'resolved' ? [] : [silenceOf(name, nowMs)],
      );
    }),
};

function silenceOf(name: string, nowMs: number): Action {
  return {
    label: 'Silence for an hour',
    method: 'POST',
    path: '/v1/admin/silences',
    body: {
      matchers: [{ label: 'alertname', value: name }],
      endsAt: new Date(nowMs + 3_600_000).toISOString(),
      comment: 'From the dashboard.',
    },
    ask: `Withhold notifications of ${name} for an hour?`,
  };
}

const INCIDENT_TONES: Readonly<Record<string, Cell['tone']>> = {
  open: 'bad',
  acknowledged: 'warn',
  resolved: 'good',
};

export const INCIDENTS: List = {
  id: 'incidents',
  title: 'Incidents',
  hint: 'Opened by alerts or by hand. `npm run cli -- incidents` shows the timeline, and drafts the post-mortem.',
  address: '/v1/admin/incidents',
  head: ['State', 'Severity', 'Title', 'Opened'],
  empty: 'There was no incident.',
  rows: (json, nowMs) =>
    listOf(json, 'incidents').map((incident) => {
      const state = textOf(incident, 'state');
      const id = String(memberOf(incident, 'id'));
      const title = textOf(incident, 'title');
      const change = (label: string, step: string): Action => ({
        label,
        method: 'POST',
        path: `/v1/admin/incidents/${id}/${step}`,
        body: {},
        ask: `${label} the incident “${title}”?`,
      });
      return row(
        [
          cell(state, INCIDENT_TONES[state]),
          cell(textOf(incident, 'severity')),
          cell(title),
          cell(ago(textOf(incident, 'openedAt'), nowMs)),
        ],
        state === 'open'
          ? [change('Acknowledge', 'acknowledge'), change('Resolve', 'resolve')]
          : state === 'acknowledged'
            ? [change('Resolve', 'resolve')]
            : [],
      );
    }),
};

export const MAINTENANCE: List = {
  id: 'maintenance',
  title: 'Silences and maintenance',
  hint: 'Times in which notifications are withheld.',
  address: '/v1/admin/silences',
  head: ['State', 'Comment', 'By', 'Until'],
  empty: 'None is set. `npm run cli -- silences` sets one.',
  rows: (json) =>
    listOf(json, 'silences').map((silence) => {
      const [state, id] = [textOf(silence, 'state'), textOf(silence, 'id')];
      return row(
        [
          cell(state, state === 'active' ? 'warn' : undefined),
          cell(textOf(silence, 'comment')),
          cell(textOf(silence, 'author')),
          cell(textOf(silence, 'endsAt')),
        ],
        state === 'ended'
          ? []
          : [
              {
                label: 'End',
                method: 'DELETE',
                path: `/v1/admin/silences/${encodeURIComponent(id)}`,
                ask: 'End this silence now?',
              },
            ],
      );
    }),
};

export const QUARANTINE: List = {
  id: 'quarantine',
  title: 'Quarantine',
  hint: 'The newest refused events that are open. `npm run cli -- quarantine` corrects and releases them.',
  address: '/v1/admin/quarantine?state=open&limit=20',
  head: ['Reason', 'Type', 'Where', 'What', 'Received'],
  empty: 'Nothing is in quarantine: each event kept its contract.',
  rows: (json, nowMs) =>
    listOf(json, 'events').map((event) =>
      row([
        cell(textOf(event, 'reason'), 'warn'),
        cell(textOf(event, 'type')),
        cell(textOf(event, 'pointer')),
        cell(textOf(event, 'detail')),
        cell(ago(textOf(event, 'receivedAt'), nowMs)),
      ]),
    ),
};

export const DEAD_LETTERS: List = {
  id: 'dead-letters',
  title: 'Dead letters',
  hint: 'Messages that no consumer could handle.',
  address: '/v1/admin/dead-letters?state=open&limit=20',
  head: ['Reason', 'Type', 'What', 'Received'],
  empty: 'There is none: each message was handled.',
  rows: (json, nowMs) =>
    listOf(json, 'events').map((event) =>
      row([
        cell(textOf(event, 'reason'), 'bad'),
        cell(textOf(event, 'type')),
        cell(textOf(event, 'detail')),
        cell(ago(textOf(event, 'receivedAt'), nowMs)),
      ]),
    ),
};

export const QUEUES: List = {
  id: 'queues',
  title: 'Queues',
  hint: 'What the local stack holds. On Cloudflare, the platform’s own dashboard shows it.',
  address: '/v1/admin/queues',
  head: ['Queue', 'Waiting'],
  empty: 'This deployment does not count its queues: `npx wrangler queues list` does.',
  rows: (json) =>
    Object.entries(Object(memberOf(json, 'items'))).map(([queue, waiting]) =>
      row([cell(queue), cell(count(Number(waiting)), Number(waiting) > QUEUED_MANY ? 'warn' : undefined)]),
    ),
  actions: [
    {
      label: 'Relay the outbox now',
      method: 'POST',
      path: '/v1/admin/outbox/sweep',
      ask: 'Relay the changes that wait in the outbox now?',
    },
  ],
};
const QUEUED_MANY = 10_000;

const RUN_TONES: Readonly<Record<string, Cell['tone']>> = { done: 'good', failed: 'bad', refused: 'warn' };

export const TRAINING: List = {
  id: 'training',
  title: 'Training runs',
  hint: 'The newest first: why each began, how far it is, and what it came to.',
  address: '/v1/training?limit=10',
  head: ['State', 'Model', 'Began by', 'Progress', 'Verdict', 'Began'],
  empty: 'No model was trained in the worker yet. `npm run cli -- training start` begins a run.',
  rows: (json, nowMs) =>
    listOf(json, 'runs').map((run) => {
      const [state, id] = [textOf(run, 'state'), textOf(run, 'id')];
      const progress = memberOf(run, 'progress');
      const failure = textOf(memberOf(run, 'failure'), 'detail');
      const cancel: Action = {
        label: 'Cancel',
        method: 'POST',
        path: `/v1/training/${encodeURIComponent(id)}/cancel`,
        ask: `Cancel the training of ${textOf(run, 'model')}?`,
      };
      return row(
        [
          cell(state, RUN_TONES[state]),
          cell(textOf(run, 'model')),
          cell(textOf(run, 'reason')),
          cell(
            failure === ''
              ? `${String(memberOf(progress, 'done'))} of ${String(memberOf(progress, 'of'))}`
              : failure,
          ),
          cell(textOf(run, 'verdict').replace('_', ' ')),
          cell(ago(textOf(run, 'begunAt'), nowMs)),
        ],
        memberOf(run, 'endedAt') === null ? [cancel] : [],
      );
    }),
};

export const CHANGES: List = {
  id: 'changes',
  title: 'Changes',
  hint: 'What principals changed: models, keys, silences, purges and the others, from the audit log.',
  address: '/v1/admin/audit?limit=15',
  head: ['When', 'Who', 'What', 'Of', 'Outcome'],
  empty: 'Nothing was changed yet.',
  rows: (json, nowMs) =>
    listOf(json, 'entries').map((entry) => {
      const outcome = textOf(entry, 'outcome');
      return row([
        cell(ago(textOf(entry, 'at'), nowMs)),
        cell(textOf(entry, 'principal')),
        cell(textOf(entry, 'action')),
        cell(textOf(entry, 'target')),
        cell(outcome, outcome === 'failed' ? 'bad' : undefined),
      ]);
    }),
};

export const MODEL_LIST: List = {
  id: 'model-versions',
  title: 'Models',
  hint: 'The versions that answer. The page of the models has their cards, measurements and history.',
  address: '/v1/models',
  head: ['Model', 'Task', 'Champion', 'Challenger'],
  empty: 'The catalog declares no model.',
  rows: (json) =>
    listOf(json, 'models').map((model) => {
      const named = (alias: string) =>
        textOf(memberOf(memberOf(model, 'aliases'), alias), 'version').slice(0, 12);
      const champion = named('champion');
      return row([
        cell(textOf(model, 'name')),
        cell(textOf(model, 'task')),
        champion === '' ? cell('none answers', 'warn') : cell(champion, 'good'),
        cell(named('challenger')),
      ]);
    }),
};
