/**
 * The settings of a deployment for the commands around the worker. The optional file `src/catalog/project.ts` exports
 * them as `project`. The worker never loads that file, so it may import Node's modules and test data.
 */
export interface Project {
  readonly kind: 'project';
  /**
   * The folder of the migrations of the catalog's tables. All paths of this interface are relative to the repository's
   * root.
   */
  readonly migrations: string;
  /** The drizzle schema file that migrations are generated from. */
  readonly tables: string;
  /**
   * The drizzle schema file of the tables that another tool owns. It is optional; no migration is generated from it.
   */
  readonly adopted: string;
  /** The folder of the released contracts, one file for each event type: `npm run contracts`. */
  readonly contracts: string;
  /** Fills the empty database of `npm run dev`. Without it the database stays empty. */
  readonly seed: Seed | undefined;
  /** The source of each model's first version, by the model's name. */
  readonly models: Readonly<Record<string, FirstVersion>>;
  /** Scripts of the deployment by the name of the command, e.g. `import` for `npm run import`. */
  readonly commands: Readonly<Record<string, string>>;
  /**
   * The lines that `npm run dev` suggests. Without it, or where it gives undefined, as for a database that is empty, they
   * are generated from the examples of the catalog's events.
   */
  readonly tryOut: ((query: Query) => Promise<readonly Trial[] | undefined>) | undefined;
  /** The scenario of `npm run smoke`. Without it, the examples of the catalog's events are sent and must be stored. */
  readonly smoke: ((query: Query) => Promise<Smoke>) | undefined;
}

/** Runs one statement on the development database, with `$1` and so on for its parameters. */
export type Query = (
  text: string,
  params?: readonly unknown[],
) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** An event to send. The sending command adds `specversion`, and a missing source or id. */
export interface EventToSend {
  readonly type: string;
  readonly data: unknown;
  readonly source?: string;
  readonly id?: string;
  /** RFC 3339; the default is the time of sending. */
  readonly time?: string;
}

/** The ports of a seed. */
export interface SeedPorts {
  /** Milliseconds since the Unix epoch: the end of generated history. */
  readonly now: number;
  /**
   * Validates and stores events as the consumer of the events queue does, with contracts, rules, quarantine and outbox.
   * It bypasses only HTTP and the queue. Pass many events at once: it stores them in transactions of thousands.
   */
  readonly send: (
    events: Iterable<EventToSend & { readonly source: string; readonly id: string }>,
  ) => Promise<{
    readonly accepted: number;
    readonly refused: number;
  }>;
  /** For rows that no event writes, such as the first rows of a table that clients `PUT`. */
  readonly query: Query;
}

/** @returns a summary for the line that `npm run dev` prints, e.g. "40 stations and 3,000 rides". */
export type Seed = (ports: SeedPorts) => Promise<string>;

/**
 * The source of a model's first version.
 *
 * `train` is a script. `npm run train` calls it as `node SCRIPT --out DIR [further arguments]`, with the database in
 * `DATABASE_URL` and `DATABASE_ENDPOINT`. It writes a bundle's folder to DIR, and may write `training.json` there:
 * `trainingRows`, `snapshot` and `assertions` for the model's lineage. The command publishes the bundle.
 *
 * `bundle` is the folder of an existing bundle, for instance from `npm run bundle`.
 */
export type FirstVersion = { readonly train: string } | { readonly bundle: string };

/**
 * One line to try: a path to read, or an event to send and to wait for. `note` is printed above it. The lines are run in
 * their order, and may be run again: each run of an event without an `id` has a new one.
 */
export type Trial = ({ readonly get: string } | { readonly send: EventToSend }) & { readonly note?: string };

/** An event, the answers that it must change, and those that it must not. */
export interface Smoke {
  readonly send: EventToSend;
  /** Paths whose answers must change once the event is stored. The first is read again after a restart. */
  readonly fresh: readonly SmokeRead[];
  /** Paths whose cached answers must stay hits. */
  readonly unrelated: readonly string[];
}

export interface SmokeRead {
  readonly get: string;
  /** A condition on the answer before the event, with its description for the report. */
  readonly before?: { readonly what: string; readonly holds: (body: unknown) => boolean };
  /** Whether the answer after the event is as expected; by default it only has to differ. */
  readonly isFresh?: (before: unknown, after: unknown) => boolean;
}

/** The default paths of a catalog without a `project.ts`. */
const DEFAULTS: Pick<Project, 'migrations' | 'tables' | 'adopted' | 'contracts'> = {
  migrations: 'migrations/catalog',
  tables: 'src/catalog/tables.ts',
  adopted: 'src/catalog/adopted.ts',
  contracts: 'src/catalog/contracts',
};

/** Declares the settings for the commands around the worker; each field has a default. */
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
