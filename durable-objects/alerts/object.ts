import { DurableObject } from 'cloudflare:workers';
import type { AlertEvent } from '../../src/operations/alerts/alerts.ts';
import type { CountHistory } from '../../src/operations/alerts/history.ts';
import {
  ENDED_KEPT_MS,
  NewSilence,
  SILENCE_MS_MAX,
  SILENCES_MAX,
  type Silence,
  type SilenceKind,
} from '../../src/operations/alerts/silences.ts';
import { type StreamAges, streamCounts } from '../../src/operations/alerts/stream-checks.ts';
import {
  type AlertsReport,
  objectiveStatus,
  stepWatch,
  type WatchRules,
  type WatchState,
} from '../../src/operations/alerts/watch.ts';
import type { Now } from '../../src/platform/clock.ts';
import type { CounterSample } from '../../src/platform/counters.ts';
import { newId } from '../../src/platform/ids.ts';
import { log } from '../../src/platform/logger.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';
import { ActionRecords, type Recorded } from './records.ts';
import { WatchStore } from './store.ts';

/** The effects of the object beside its storage and alarm. Each has a deadline of its own. */
export interface AlertsPorts {
  readonly now: Now;
  readonly rules: WatchRules;
  /** The totals of all isolates, and of the quality of events. Rejects if they cannot be read. */
  readonly totals: () => Promise<readonly CounterSample[]>;
  /** What waits in the pipeline. Never rejects. */
  readonly ages: () => Promise<StreamAges>;
  /** Counts the checks of a minute, once however often it is called. */
  /** Writes an entry of the audit log. Rejects while the database does not answer. */
  readonly record: (entry: Recorded) => Promise<void>;
  readonly count: (minute: number, samples: readonly CounterSample[]) => Promise<void>;
}

/**
 * Evaluates the objectives each minute, by its alarm. One object, named `main`. It needs neither the database nor a request:
 * once its alarm is set, it sets itself again.
 */
export class Alerts extends DurableObject {
  readonly #ports: AlertsPorts;
  readonly #store: WatchStore;
  readonly #records: ActionRecords;
  readonly #history: CountHistory;
  #state: WatchState;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: AlertsPorts) {
    super(ctx, env);
    this.#ports = ports;
    migrate(ctx.storage, MIGRATIONS);
    this.#store = new WatchStore(ctx.storage);
    this.#records = new ActionRecords(ctx.storage);
    this.#history = this.#store.history();
    this.#state = this.#store.state();
  }

  /** Begins to evaluate if it does not yet. */
  async wake(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.#ringSoon();
  }

  async report(): Promise<AlertsReport> {
    const { minute, isCounted, alerts } = this.#state;
    const { measured, minuteMs } = this.#ports.rules;
    return {
      ...{ evaluatedMs: minute * minuteMs, isCounted, alerts: Object.values(alerts) },
      objectives: measured.map(({ objective }) => objectiveStatus(objective, this.#history, minute)),
    };
  }

  /** The silences or maintenance windows, those that end last first. */
  async silences(kind: SilenceKind): Promise<Silence[]> {
    return this.#store.silences().filter((silence) => silence.kind === kind);
  }

  /** Adds a silence. @returns null if there are too many, or it ends before it begins or now, or lasts too long. */
  async silence(asked: NewSilence): Promise<Silence | null> {
    const silence: Silence = { id: newId(), ...NewSilence.parse(asked) };
    const { startsMs, endsMs } = silence;
    if (endsMs <= Math.max(startsMs, this.#ports.now()) || endsMs - startsMs > SILENCE_MS_MAX) return null;
    this.#store.pruneSilences(this.#ports.now() - ENDED_KEPT_MS);
    if (this.#store.silences().length >= SILENCES_MAX) return null;
    this.#change(silence.author, `${silence.kind}.create`, silence.id, null, silence, () =>
      this.#store.putSilence(silence),
    );
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

  override async alarm(): Promise<void> {
    try {
      await this.#evaluate();
    } catch (error) {
      const message = 'The objectives could not be evaluated; the alarm repeats it in a minute.';
      log('error', message, { 'event.action': 'alerts' }, error);
    } finally {
      await this.#ringSoon();
    }
  }

  async #evaluate(): Promise<void> {
    const { rules, ages, count, totals } = this.#ports;
    const minute = Math.floor(this.#ports.now() / rules.minuteMs);
    if (minute <= this.#state.minute) return;
    const [, read] = await Promise.all([
      ages().then((known) => quietly(() => count(minute, streamCounts(known)))),
      quietly(totals),
    ]);
    const step = { minute, totals: read, silences: this.#store.silences(), newId };
    const { state, events, counts } = stepWatch(this.#state, this.#history, rules, step);
    this.#state = state;
    this.#store.save(state, this.#history, counts);
    for (const event of events) this.#tell(event);
    await this.#records.write(this.#ports.record);
  }

  /** A change by a caller, in one transaction with its entry for the audit log. */
  #change(
    principal: string,
    action: string,
    target: string,
    before: unknown,
    after: unknown,
    write: () => void,
  ): void {
    const at = new Date(this.#ports.now()).toISOString();
    this.ctx.storage.transactionSync(() => {
      write();
      this.#records.add({ at, record: newId(), principal, action, target, detail: {}, before, after });
    });
    this.ctx.waitUntil(this.#records.write(this.#ports.record));
  }

  #tell({ type, alert }: AlertEvent): void {
    const { alertname, labels, severity } = alert;
    const level = type === 'resolved' || severity === 'ticket' ? 'warn' : 'error';
    log(level, `${alertname}: ${type}. ${alert.summary}`, {
      ...{
        'event.action': 'alert',
        'alert.name': alertname,
        'alert.state': type,
        'alert.severity': severity,
      },
      ...(labels['peer'] === undefined ? {} : { 'alert.peer': labels['peer'] }),
      ...(labels['objective'] === undefined ? {} : { 'alert.objective': labels['objective'] }),
    });
  }

  /** A little after the next minute begins, so that the isolates' counts of the one before have arrived. */
  async #ringSoon(): Promise<void> {
    const { minuteMs } = this.#ports.rules;
    const next = (Math.floor(this.#ports.now() / minuteMs) + 1) * minuteMs;
    await this.ctx.storage.setAlarm(next);
  }
}

async function quietly<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch {
    return undefined;
  }
}
