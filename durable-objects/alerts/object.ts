import { DurableObject } from 'cloudflare:workers';
import type { AlertEvent } from '../../src/operations/alerts/alerts.ts';
import type { CountHistory } from '../../src/operations/alerts/history.ts';
import type { Notice } from '../../src/operations/alerts/notices.ts';
import {
  ENDED_KEPT_MS,
  NewSilence,
  SILENCE_MS_MAX,
  SILENCES_MAX,
  type Silence,
  type SilenceKind,
} from '../../src/operations/alerts/silences.ts';
import { type StreamAges, streamCounts } from '../../src/operations/alerts/stream-checks.ts';
import type { Target } from '../../src/operations/alerts/targets.ts';
import { newWarnings, warningsIn } from '../../src/operations/alerts/warnings.ts';
import {
  type AlertsReport,
  type ObjectiveStatus,
  objectiveStatus,
  stepWatch,
  type WatchRules,
  type WatchState,
  type WatchStep,
} from '../../src/operations/alerts/watch.ts';
import {
  type Incident,
  IncidentAct,
  type IncidentFilter,
  type IncidentWithTimeline,
  NewIncident,
} from '../../src/operations/incidents/incident.ts';
import type { Now } from '../../src/platform/clock.ts';
import type { CounterSample } from '../../src/platform/counters.ts';
import { newId } from '../../src/platform/ids.ts';
import { log } from '../../src/platform/logger.ts';
import type { Random } from '../../src/platform/random.ts';
import { migrate } from '../sqlite-migrations.ts';
import { type ChangesBetween, readChanges } from './changes.ts';
import { Deliveries } from './deliveries.ts';
import { impactIn } from './impact.ts';
import { Incidents } from './incidents.ts';
import { MIGRATIONS } from './migrations.ts';
import { Reactions } from './reactions.ts';
import { ActionRecords, type Recorded } from './records.ts';
import { Spending } from './spending.ts';
import { WatchStore } from './store.ts';

/** The effects of the object beside its storage and alarm. Each has a deadline of its own. */
export interface AlertsPorts {
  readonly now: Now;
  readonly random: Random;
  readonly rules: WatchRules;
  /** Where notices go. @throws Error if the configuration is invalid. */
  readonly targets: () => readonly Target[];
  /** Sends a notice once. @returns null if it was taken, else the reason. Never rejects. */
  readonly send: (target: Target, id: string, notice: Notice) => Promise<string | null>;
  /** The id of the deployed version; undefined where the platform does not tell. */
  readonly release: string | undefined;
  /** The totals of all isolates, and of the quality of events. Rejects if they cannot be read. */
  readonly totals: () => Promise<readonly CounterSample[]>;
  /** What waits in the pipeline. Never rejects. */
  readonly ages: () => Promise<StreamAges>;
  /** Counts the checks of a minute, once however often it is called. */
  readonly count: (minute: number, samples: readonly CounterSample[]) => Promise<void>;
  /** Writes an entry of the audit log. Rejects while the database does not answer. */
  readonly record: (entry: Recorded) => Promise<void>;
  /** What people and models changed. Rejects while the database does not answer. */
  readonly changes: ChangesBetween;
}

/**
 * Evaluates the objectives each minute, by its alarm, and has the incidents, their timelines and the notices that wait for
 * their receivers. One object, named `main`. It needs neither the database nor a request: once its alarm is set, it sets
 * itself again.
 */
export class Alerts extends DurableObject {
  readonly #ports: AlertsPorts;
  readonly #store: WatchStore;
  readonly #records: ActionRecords;
  readonly #incidents: Incidents;
  readonly #deliveries: Deliveries;
  readonly #spending: Spending;
  readonly #history: CountHistory;
  #state: WatchState;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: AlertsPorts) {
    super(ctx, env);
    this.#ports = ports;
    migrate(ctx.storage, MIGRATIONS);
    this.#store = new WatchStore(ctx.storage);
    this.#records = new ActionRecords(ctx.storage);
    this.#incidents = new Incidents(ctx.storage);
    this.#deliveries = new Deliveries(ctx.storage);
    this.#spending = new Spending(ctx.storage);
    this.#history = this.#store.history();
    this.#state = this.#store.state();
  }

  /** Begins to evaluate if it does not yet. */
  async wake(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.#ringSoon();
  }

  async report(): Promise<AlertsReport> {
    const { minute, isCounted, alerts } = this.#state;
    const { minuteMs } = this.#ports.rules;
    return {
      ...{ evaluatedMs: minute * minuteMs, isCounted, alerts: Object.values(alerts) },
      objectives: this.#objectives(minute),
      regressions: this.#regressions(),
      targets: this.#deliveries.status(this.#targets()),
      deploys: this.#store.deploys().filter(({ atMs }) => atMs > 0),
    };
  }

  /** By service, the newest minute in which calls of it failed. */
  async lastErrors(): Promise<WatchState['lastErrors']> {
    return this.#state.lastErrors;
  }

  /** Sends a test to all targets. @returns their names. */
  async test(by: string): Promise<string[]> {
    let names: string[] = [];
    this.#change(by, 'alerts.test', 'targets', null, null, (reactions) => {
      names = reactions.test();
    });
    await this.#ringNow();
    return names;
  }

  /** The silences or maintenance windows, those that end last first. */
  async silences(kind: SilenceKind): Promise<Silence[]> {
    return this.#store.silences().filter((silence) => silence.kind === kind);
  }

  /** Adds a silence. @returns null if there are too many, or it ends before it begins or now, or lasts too long. */
  async silence(asked: NewSilence): Promise<Silence | null> {
    const silence: Silence = { id: newId(), ...NewSilence.parse(asked) };
    const { startsMs, endsMs, kind, author } = silence;
    const nowMs = this.#ports.now();
    if (endsMs <= Math.max(startsMs, nowMs) || endsMs - startsMs > SILENCE_MS_MAX) return null;
    this.#store.pruneSilences(nowMs - ENDED_KEPT_MS);
    if (this.#store.silences().length >= SILENCES_MAX) return null;
    this.#change(author, `${kind}.create`, silence.id, null, silence, () => this.#store.putSilence(silence));
    return silence;
  }

  /** Ends a silence now. @returns null if there is no such silence of this kind. */
  async endSilence(kind: SilenceKind, id: string, by: string): Promise<Silence | null> {
    const known = this.#store.silences().find((silence) => silence.id === id && silence.kind === kind);
    if (known === undefined) return null;
    const ended = { ...known, endsMs: Math.min(known.endsMs, this.#ports.now()) };
    this.#change(by, `${kind}.end`, id, known, ended, () => this.#store.putSilence(ended));
    return ended;
  }

  async incidents(filter: IncidentFilter): Promise<Incident[]> {
    return this.#incidents.list(filter);
  }

  async incident(id: number): Promise<IncidentWithTimeline | null> {
    return this.#incidents.find(id) ?? null;
  }

  async openIncident(asked: NewIncident, by: string): Promise<Incident> {
    let made: Incident | undefined;
    this.#change(by, 'incident.open', asked.title, null, NewIncident.parse(asked), (reactions) => {
      made = reactions.open(asked, by);
    });
    await this.#ringNow();
    if (made === undefined) throw new Error('An incident was not opened.');
    return made;
  }

  /** @returns null for an unknown incident, and the incident as it is if the act changes nothing. */
  async actOnIncident(id: number, asked: IncidentAct, by: string): Promise<Incident | null> {
    const act = IncidentAct.parse(asked);
    const known = this.#incidents.find(id)?.incident;
    if (known === undefined) return null;
    let after: Incident | undefined;
    this.#change(by, `incident.${act.do}`, String(id), { state: known.state }, act, (reactions) => {
      after = reactions.act(known, act, by);
    });
    await this.#ringNow();
    return after ?? known;
  }

  override async alarm(): Promise<void> {
    try {
      await this.#evaluate();
    } catch (error) {
      const message = 'The objectives could not be evaluated; the alarm repeats it in a minute.';
      log('error', message, { 'event.action': 'alerts' }, error);
    }
    try {
      await this.#deliveries.run(this.#targets(), this.#ports);
    } finally {
      await this.#ringSoon();
    }
  }

  async #evaluate(): Promise<void> {
    const { rules, ages, count, totals, now, record, changes } = this.#ports;
    const minute = Math.floor(now() / rules.minuteMs);
    if (minute <= this.#state.minute) return;
    const [, read] = await Promise.all([
      ages().then((known) => quietly(() => count(minute, streamCounts(known)))),
      quietly(totals),
    ]);
    const step = { minute, totals: read, silences: this.#store.silences(), newId };
    const before = this.#state.alerts;
    const { state, events, counts } = stepWatch(this.#state, this.#history, rules, step);
    this.ctx.storage.transactionSync(() => {
      this.#store.save(state, this.#history, counts);
      const isQuarter = read !== undefined && this.#spending.note(read, minute);
      this.#noteDeploy();
      const reactions = this.#reactions(minute);
      for (const event of events) reactions.alert(event);
      reactions.effects(before, state.alerts);
      if (isQuarter) this.#warn(reactions, step);
    });
    this.#state = state;
    for (const event of events) logEvent(event);
    await this.#records.write(record);
    await readChanges(this.#incidents, changes, now());
  }

  /** Each quarter of an hour, for which new values are known. */
  #warn(reactions: Reactions, { minute, silences }: Pick<WatchStep, 'minute' | 'silences'>): void {
    const found = warningsIn(this.#objectives(minute), this.#regressions());
    const before = this.#store.toldWarnings();
    const { fresh, told } = newWarnings(before, found, silences, this.#ports.now());
    this.#store.saveToldWarnings(before, told);
    for (const warning of fresh) reactions.warning(warning);
  }

  #objectives(minute: number): ObjectiveStatus[] {
    return this.#ports.rules.measured.map(({ objective }) =>
      objectiveStatus(objective, this.#history, minute),
    );
  }

  #regressions() {
    const [newest] = this.#store.deploys();
    const isKnown = newest !== undefined && newest.atMs > 0;
    return this.#spending.regressions(isKnown ? newest.atMs / this.#ports.rules.minuteMs : undefined);
  }

  #noteDeploy(): void {
    const { release, now } = this.#ports;
    if (release === undefined) return;
    const deploy = { id: release, atMs: now() };
    if (this.#store.noteDeploy(deploy)) this.#reactions(this.#state.minute).deployed(deploy);
  }

  #reactions(minute: number): Reactions {
    const { now, rules } = this.#ports;
    return new Reactions(this.#incidents, this.#deliveries, {
      ...{ targets: this.#targets(), nowMs: now(), newId, deploys: this.#store.deploys() },
      impactSince: (ms) => impactIn(this.#history, rules, ms, minute),
    });
  }

  /** A change by a caller, in one transaction with its entry for the audit log. */
  #change(
    principal: string,
    action: string,
    target: string,
    before: unknown,
    after: unknown,
    write: (reactions: Reactions) => void,
  ): void {
    const at = new Date(this.#ports.now()).toISOString();
    this.ctx.storage.transactionSync(() => {
      write(this.#reactions(this.#state.minute));
      this.#records.add({ at, record: newId(), principal, action, target, detail: {}, before, after });
    });
    this.ctx.waitUntil(this.#records.write(this.#ports.record));
  }

  /** Without a valid configuration nobody is notified; everything else goes on. */
  #targets(): readonly Target[] {
    try {
      return this.#ports.targets();
    } catch (error) {
      log(
        'error',
        'The targets of notices are invalid; nobody is notified.',
        { 'event.action': 'alerts' },
        error,
      );
      return [];
    }
  }

  /** When the next minute begins, or a notice is due. */
  async #ringSoon(): Promise<void> {
    const { rules, now } = this.#ports;
    const minute = (Math.floor(now() / rules.minuteMs) + 1) * rules.minuteMs;
    const dueMs = this.#deliveries.nextMs(this.#targets()) ?? Number.POSITIVE_INFINITY;
    await this.ctx.storage.setAlarm(Math.max(now(), Math.min(minute, dueMs)));
  }

  /** So that what was queued is sent at once. */
  async #ringNow(): Promise<void> {
    await this.ctx.storage.setAlarm(this.#ports.now());
  }
}

function logEvent({ type, alert }: AlertEvent): void {
  const { alertname, labels, severity } = alert;
  const level = type === 'resolved' || severity === 'ticket' ? 'warn' : 'error';
  log(level, 'An alert changed its state.', {
    ...{
      'event.action': 'alert',
      'rule.name': alertname,
      'millrace.alert.state': type,
      'millrace.alert.severity': severity,
    },
    ...(labels['peer'] === undefined ? {} : { 'millrace.alert.peer': labels['peer'] }),
    ...(labels['objective'] === undefined ? {} : { 'millrace.alert.objective': labels['objective'] }),
  });
}

async function quietly<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch {
    return undefined;
  }
}
