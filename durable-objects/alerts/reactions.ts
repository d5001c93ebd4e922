import type { Alert, AlertEvent } from '../../src/operations/alerts/alerts.ts';
import { nameOf } from '../../src/operations/alerts/alerts.ts';
import type { Notice } from '../../src/operations/alerts/notices.ts';
import type { Target } from '../../src/operations/alerts/targets.ts';
import { WARNINGS_PAGE, type Warning } from '../../src/operations/alerts/warnings.ts';
import type { Deploy } from '../../src/operations/alerts/watch.ts';
import {
  acted,
  BY_ALERTS,
  type Incident,
  type IncidentAct,
  type IncidentStep,
  type NewIncident,
  ofAlert,
  openedByHand,
} from '../../src/operations/incidents/incident.ts';
import type { Deliveries } from './deliveries.ts';
import type { Incidents } from './incidents.ts';

/** Incidents that an alert may concern: the open ones, and those that have just ended. */
const RECENT = 50;
/** A deploy so long before an incident is in its timeline, in milliseconds. */
const SUSPECT_MS = 6 * 3_600_000;

export interface ReactionPorts {
  readonly targets: readonly Target[];
  readonly nowMs: number;
  readonly newId: () => string;
  readonly deploys: readonly Deploy[];
  /** Bad and all events of each objective since a moment. */
  readonly impactSince: (ms: number) => NonNullable<Incident['impact']>;
}

/** What alerts and people cause: incidents with their timelines, and notices. Call it in a transaction. */
export class Reactions {
  readonly #incidents: Incidents;
  readonly #deliveries: Deliveries;
  readonly #ports: ReactionPorts;

  constructor(incidents: Incidents, deliveries: Deliveries, ports: ReactionPorts) {
    this.#incidents = incidents;
    this.#deliveries = deliveries;
    this.#ports = ports;
  }

  /** Notifies an alert, and opens or ends its incident. */
  alert(event: AlertEvent): void {
    const { alert, type } = event;
    this.#notify({ type: `alert.${type}`, timestamp: this.#timestamp, data: { alert: alertNoticed(alert) } });
    const found = ofAlert(event, this.#incidents.list({ limit: RECENT }), this.#ports.nowMs);
    if (found !== undefined) this.#apply(found.id, found.step);
  }

  /** Notes alerts that began to fire and are withheld by a cause, in the incidents that go on. */
  effects(before: Readonly<Record<string, Alert>>, after: Readonly<Record<string, Alert>>): void {
    for (const [key, alert] of Object.entries(after)) {
      const { state, inhibitedBy, alertname, labels } = alert;
      const known = before[key];
      const isNew = state === 'firing' && inhibitedBy !== null && known?.inhibitedBy !== inhibitedBy;
      if (!isNew) continue;
      const name = nameOf({ alertname, ...labels });
      this.#noteAll('effect', `${name} fires as well; ${inhibitedBy} is taken as its cause.`);
    }
  }

  warning({ name, labels, summary }: Warning): void {
    const data = { warning: { name, labels, summary, page: WARNINGS_PAGE } };
    this.#notify({ type: 'warning.found', timestamp: this.#timestamp, data });
  }

  deployed({ id }: Deploy): void {
    this.#noteAll('deploy', `Version ${id} is deployed.`);
  }

  open(asked: NewIncident, by: string): Incident {
    return this.#apply(undefined, openedByHand(asked, by, this.#ports.nowMs));
  }

  /** @returns undefined if the act changes nothing. */
  act(incident: Incident, act: IncidentAct, by: string): Incident | undefined {
    const step = acted(incident, act, by, this.#ports.nowMs);
    return step === undefined ? undefined : this.#apply(incident.id, step);
  }

  /** @returns the names of the targets that get a test. */
  test(): string[] {
    return this.#notify({ type: 'test', timestamp: this.#timestamp, data: {} });
  }

  #apply(id: number | undefined, step: IncidentStep): Incident {
    const { nowMs, deploys, impactSince } = this.#ports;
    const { incident } = step;
    const isEnd = incident.state === 'resolved' && incident.impact === null;
    const counted = isEnd ? { ...incident, impact: impactSince(incident.openedMs) } : incident;
    const stored = this.#incidents.apply(id, { ...step, incident: counted });
    if (id === undefined)
      for (const { id: version, atMs } of deploys)
        if (nowMs - atMs <= SUSPECT_MS)
          this.#incidents.note(stored.id, {
            ...{ atMs, kind: 'deploy', by: BY_ALERTS, text: `Version ${version} is deployed.` },
          });
    if (step.told !== undefined) this.#tell(stored, step.told, step.entry.by, step.entry.text);
    return stored;
  }

  #tell(incident: Incident, told: NonNullable<IncidentStep['told']>, by: string, text: string): void {
    const { id, title, severity, state, openedMs, alert } = incident;
    const openedAt = new Date(openedMs).toISOString();
    this.#notify({
      type: `incident.${told}`,
      timestamp: this.#timestamp,
      data: { incident: { id, title, severity, state, openedAt, by, text, alert } },
    });
  }

  #noteAll(kind: 'effect' | 'deploy', text: string): void {
    for (const { id, state } of this.#incidents.list({ limit: RECENT }))
      if (state !== 'resolved')
        this.#incidents.note(id, { atMs: this.#ports.nowMs, kind, by: BY_ALERTS, text });
  }

  #notify(notice: Notice): string[] {
    const { targets, newId, nowMs } = this.#ports;
    return this.#deliveries.add(targets, newId(), notice, nowMs);
  }

  get #timestamp(): string {
    return new Date(this.#ports.nowMs).toISOString();
  }
}

function alertNoticed({ sinceMs, ...alert }: Alert) {
  const { id, alertname, labels, severity, state, summary, description, runbook } = alert;
  const since = new Date(sinceMs).toISOString();
  return { id, alertname, labels, severity, state, since, summary, description, runbook };
}
