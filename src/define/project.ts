/**
 * What the commands around the worker want to know of a deployment. The optional file `src/catalog/project.ts`
 * exports it as `project`. The worker never loads that file, so it may import Node's modules and test data.
 */
export interface Project {
  readonly kind: 'project';
  /** The folder of the migrations of the catalog's tables. All paths here start at the repository's root. */
  readonly migrations: string;
  /** The drizzle schema file that migrations are generated from. */
  readonly tables: string;
  /** The drizzle schema file of the tables that another tool owns. It is optional; no migration is made from it. */
  readonly adopted: string;
  /** The folder of the released contracts, one file for each event type: `npm run contracts`. */
  readonly contracts: string;
  /** Fills the empty database of `npm run dev`. Without it the database stays empty. */
  readonly seed: Seed | undefined;
  /** Where the first version of each model comes from, by the model's name. */
  readonly models: Readonly<Record<string, FirstVersion>>;
  /** Scripts of the deployment by the name of the command, e.g. `import` for `npm run import`. */
  readonly commands: Readonly<Record<string, string>>;
  /** What `npm run dev` shows to try. Without it the lines are made from the examples of the catalog's events. */
  readonly tryOut: ((query: Query) => Promise<readonly Trial[]>) | undefined;
  /** What `npm run smoke` follows. Without it the examples of the catalog's events are sent and must be stored. */
  readonly smoke: ((query: Query) => Promise<Smoke>) | undefined;
}

/** One statement on the development database, with `$1` and so on for its parameters. */
export type Query = (
  text: string,
  params?: readonly unknown[],
) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** An event to send. The command that sends it adds `specversion`, and a source and an id where they are missing. */
export interface EventToSend {
  readonly type: string;
  readonly data: unknown;
  readonly source?: string;
  readonly id?: string;
  /** RFC 3339; without it the event happened when it is sent. */
  readonly time?: string;
}

/** What a seed works with. */
export interface SeedPorts {
  /** Milliseconds since the Unix epoch: made-up history ends here. */
  readonly now: number;
  /**
   * Judges and stores events as the consumer of the events queue does, with contracts, rules, quarantine and outbox.
   * Only HTTP and the queue are left out. Give it many events at once: it stores them in transactions of thousands.
   */
  readonly send: (
    events: Iterable<EventToSend & { readonly source: string; readonly id: string }>,
  ) => Promise<{
    readonly accepted: number;
    readonly refused: number;
  }>;
  /** For rows that no event brings, such as the first rows of a table that clients `PUT`. */
  readonly query: Query;
}

/** @returns what was made, for the line that `npm run dev` prints, e.g. "40 stations and 3,000 rides". */
export type Seed = (ports: SeedPorts) => Promise<string>;

/**
 * Where the first version of a model comes from.
 *
 * `train` is a script. `npm run train` calls it as `node SCRIPT --out DIR [further arguments]`, with the database in
 * `DATABASE_URL` and `DATABASE_ENDPOINT`. It writes a bundle's folder to DIR, and may write `training.json` there:
 * `trainingRows`, `snapshot` and `assertions` for the model's lineage. The command publishes the bundle.
 *
 * `bundle` is the folder of a bundle that was made before, for instance by `npm run bundle`.
 */
export type FirstVersion = { readonly train: string } | { readonly bundle: string };

/** One line to try: a path to read, or an event to send. */
export type Trial = { readonly get: string } | { readonly send: EventToSend };

/** An event, the answers that it must change, and those that it must not. */
export interface Smoke {
  readonly send: EventToSend;
  /** Paths whose answers must be other ones once the event is stored. The first is read again after a restart. */
  readonly fresh: readonly SmokeRead[];
  /** Paths whose cached answers must stay hits. */
  readonly unrelated: readonly string[];
}

export interface SmokeRead {
  readonly get: string;
  /** What the answer must be like before the event; text for the report. */
  readonly before?: { readonly what: string; readonly holds: (body: unknown) => boolean };
  /** Whether the answer after the event is the expected one; by default it only has to differ. */
  readonly isFresh?: (before: unknown, after: unknown) => boolean;
}

/** The places of a catalog that has no `project.ts`. */
const DEFAULTS: Pick<Project, 'migrations' | 'tables' | 'adopted' | 'contracts'> = {
  migrations: 'migrations/catalog',
  tables: 'src/catalog/tables.ts',
  adopted: 'src/catalog/adopted.ts',
  contracts: 'src/catalog/contracts',
};

/** Declares what the commands around the worker want to know; each field has a default. */
export function defineProject(declaration: Partial<Omit<Project, 'kind'>> = {}): Project {
  return {
    kind: 'project',
    ...DEFAULTS,
    seed: undefined,
    models: {},
    commands: {},
    tryOut: undefined,
    smoke: undefined,
    ...declaration,
  };
}
