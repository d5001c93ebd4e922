import type { Moment, ReadRecord } from '../../test/support/coherence/judge.ts';

let order = 0;

/** Now, for the one observer that this process is: to be taken right before sending and right after an answer. */
export function moment(): Moment {
  order += 1;
  return { ms: performance.now(), order };
}

/** One write while it is under way: the judge's `WriteRecord`, filled in as things become known. */
export interface Write {
  readonly dep: string;
  readonly version: number;
  readonly absent: boolean;
  /** By the API, which acknowledges; or by SQL, which nobody announces. */
  readonly kind: 'api' | 'sql';
  readonly begun: Moment;
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

  count(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }

  /** The next version of a thing, of which nothing is known but that it is now being written. */
  begin(dep: string, kind: Write['kind'], absent: boolean): Write {
    const versions = this.writes.get(dep) ?? [];
    this.writes.set(dep, versions);
    const write: Write = { dep, version: versions.length + 1, absent, kind, begun: moment() };
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

/** The version that is written next stands in every field that a writer sets, so that torn answers show. */
export function fieldsOf(version: number): { description: string; unitPrice: number } {
  return { description: `version ${version}`, unitPrice: version };
}
