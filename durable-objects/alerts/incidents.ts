import {
  ENTRIES_MAX,
  INCIDENTS_MAX,
  Incident,
  type IncidentFilter,
  type IncidentStep,
  type IncidentWithTimeline,
  TimelineEntry,
} from '../../src/operations/incidents/incident.ts';

/** The incidents: a row for each, and one for each entry of its timeline. */
export class Incidents {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  /** The newest first. */
  list({ state, before, limit }: IncidentFilter): Incident[] {
    const rows = this.#sql.exec<{ id: number; value: string }>(
      `select id, value from incidents where id < ? and (? is null or state = ?) order by id desc limit ?`,
      ...[before ?? Number.MAX_SAFE_INTEGER, state ?? null, state ?? null, limit],
    );
    return [...rows].map(incidentIn);
  }

  find(id: number): IncidentWithTimeline | undefined {
    const [row] = this.#sql.exec<{ id: number; value: string }>(
      'select id, value from incidents where id = ?',
      id,
    );
    if (row === undefined) return undefined;
    const entries = this.#sql.exec<{ value: string }>(
      'select value from timeline where incident = ? order by at_ms, number',
      id,
    );
    const timeline = [...entries].map(({ value }) => TimelineEntry.parse(JSON.parse(value)));
    return { incident: incidentIn(row), timeline };
  }

  /** Stores what a step made of an incident. @returns the incident; `id` undefined makes a new one. */
  apply(id: number | undefined, { incident, entry }: IncidentStep): Incident {
    const stored = id === undefined ? this.#insert(incident) : { ...incident, id };
    if (id !== undefined) this.put(stored);
    this.note(stored.id, entry);
    return stored;
  }

  put(incident: Incident): void {
    this.#sql.exec(
      'update incidents set state = ?, value = ? where id = ?',
      ...[incident.state, JSON.stringify(incident), incident.id],
    );
  }

  /** Adds an entry. @param key recognises an entry that was read before. */
  note(incident: number, entry: TimelineEntry, key: string | null = null): void {
    const [counted] = this.#sql.exec<{ n: number }>(
      'select count(*) as n from timeline where incident = ?',
      incident,
    );
    if ((counted?.n ?? 0) >= ENTRIES_MAX && entry.kind !== 'state') return;
    this.#sql.exec(
      'insert or ignore into timeline (incident, at_ms, source, value) values (?, ?, ?, ?)',
      ...[incident, entry.atMs, key === null ? null : `${incident}/${key}`, JSON.stringify(entry)],
    );
  }

  #insert(incident: Omit<Incident, 'id'>): Incident {
    const [row] = this.#sql.exec<{ id: number }>(
      'insert into incidents (state, value) values (?, ?) returning id',
      ...[incident.state, JSON.stringify({ ...incident, id: 0 })],
    );
    const id = row?.id ?? 0;
    this.#prune();
    return { ...incident, id };
  }

  /** The oldest ended incident makes room. */
  #prune(): void {
    const [counted] = this.#sql.exec<{ n: number }>('select count(*) as n from incidents');
    if ((counted?.n ?? 0) <= INCIDENTS_MAX) return;
    const [oldest] = this.#sql.exec<{ id: number }>(
      "select id from incidents order by (state = 'resolved') desc, id limit 1",
    );
    if (oldest === undefined) return;
    this.#sql.exec('delete from timeline where incident = ?', oldest.id);
    this.#sql.exec('delete from incidents where id = ?', oldest.id);
  }
}

function incidentIn({ id, value }: { id: number; value: string }): Incident {
  return Incident.parse({ ...JSON.parse(value), id });
}
