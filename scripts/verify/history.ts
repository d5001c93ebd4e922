import type { Moment, ReadRecord } from '../../test/support/coherence/judge.ts';
import type { HistoryFile } from './history-file.ts';

let order = 0;

/** Now, for the one observer that this process is: to be taken right before sending and right after an answer. */
export function moment(): Moment {
  order += 1;
  return { ms: performance.now(), order };
}

/** One request of a write, and what became of it. */
export interface Attempt {
  readonly isolate: number;
  /** Of the isolate's memory: it counts the kills of the runtime. */
  readonly generation: number;
  readonly start: Moment;
  readonly end: Moment;
  /** Undefined where there was no answer. */
  readonly status: number | undefined;
  readonly noAnswer: string | undefined;
  readonly token: string | undefined;
}

/** One write while it is under way: the judge's `WriteRecord`, filled in as things become known. */
export interface Write {
  readonly dep: string;
  readonly version: number;
  readonly absent: boolean;
  /** By the API, which acknowledges; by SQL, which announces nothing; or by an event, which the features count. */
  readonly kind: 'api' | 'sql' | 'event';
  /** The sequential client that makes it. */
  readonly process: string;
  readonly begun: Moment;
  readonly attempts: Attempt[];
  committed?: Moment;
  acknowledged?: Moment;
  token?: { readonly epoch: string; readonly seq: number };
}

/** Everything that was written and seen, in this process's own order. */
export class History {
  readonly writes = new Map<string, Write[]>();
  readonly reads: ReadRecord[] = [];
  /** Counted by a name each: levels, outcomes, failures. */
  readonly counts = new Map<string, number>();
  /** Promises that were seen to be broken without the judge, each with what is known of it. */
  readonly breaches: string[] = [];
  /** Requests to read that were answered; one for a list shows many versions. */
  answered = 0;
  readonly #file: HistoryFile | undefined;

  /** @param file also receives each read as it ends. */
  constructor(file?: HistoryFile) {
    this.#file = file;
  }

  /** Keeps one read for those who judge from the file. */
  tell(read: Parameters<HistoryFile['read']>[0]): void {
    this.#file?.read(read);
  }

  count(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }

  /** The next version of a thing, of which nothing is known but that it is now being written. */
  begin(dep: string, { kind, absent, process }: Pick<Write, 'kind' | 'absent' | 'process'>): Write {
    const versions = this.writes.get(dep) ?? [];
    this.writes.set(dep, versions);
    const version = versions.length + 1;
    const write: Write = { dep, version, absent, kind, process, begun: moment(), attempts: [] };
    versions.push(write);
    return write;
  }

  allWrites(): Write[] {
    return [...this.writes.values()].flat();
  }
}

/** What a product's records are filed under. */
export function depOf(sku: string): string {
  return `product:${sku}`;
}

/** What the records of a customer's purchases are filed under. */
export function customerDep(customer: string): string {
  return `purchases:${customer}`;
}

/** A writer puts the version into every field that it sets, so that an answer with fields of two versions shows. */
export function fieldsOf(version: number): { description: string; unitPrice: number } {
  return { description: `version ${version}`, unitPrice: version };
}
