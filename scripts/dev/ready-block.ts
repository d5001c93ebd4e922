/** What `npm run dev` prints once everything answers. */
import type { Catalog } from '../../src/define/catalog.ts';
import type { Trial } from '../../src/define/project.ts';
import { curlOf } from './trials.ts';

/** The addresses and secrets of the running stack. */
export interface ReadyStack {
  readonly url: string;
  readonly key: string;
  /** The database is that of DATABASE_URL, not the embedded one. */
  readonly isExternal: boolean;
  readonly kafka: { readonly url: string; readonly username: string; readonly password: string } | undefined;
  /** How long the start took. */
  readonly seconds: number;
}

/** The first line of the block; scripts that start the stack wait for it. */
export const READY = 'Millrace is ready';

export function readyBlock(stack: ReadyStack, catalog: Catalog, trials: readonly Trial[]): string {
  const { url, key, isExternal, kafka, seconds } = stack;
  const lines = [
    ``,
    `${READY} after ${seconds.toFixed(1)} s. Ctrl-C stops everything.`,
    ``,
    `  API       ${url}`,
    `  Page      ${url}/ (in a browser: what is served, and an event followed live)`,
    `  Boards    ${url}/dashboards#key=${key} (in a browser: what is promised, how it works, what to do)`,
    `  OpenAPI   ${url}/openapi.json`,
    `  Health    ${url}/health/ready`,
    `  Database  ${isExternal ? 'psql "$DATABASE_URL"' : 'npm run sql -- "select count(*) from millrace.events"'}`,
    `  Key       ${key}`,
    ...(kafka === undefined
      ? []
      : [`  Kafka     ${kafka.url} (REST; user ${kafka.username}, password ${kafka.password})`]),
    ``,
    ...whatToTry(stack, catalog, trials),
    ``,
  ];
  return lines.join('\n');
}

function whatToTry(stack: ReadyStack, catalog: Catalog, trials: readonly Trial[]): string[] {
  if (isEmpty(catalog))
    return [
      'The catalog is empty: there are no views to read and no events to send yet.',
      'Declare tables, entities, events and views in src/catalog/ (docs/catalog.md shows each), then run',
      '`npm run db:generate` and start again.',
      '',
      'Try:',
      `  curl -i ${stack.url}/health/ready`,
    ];
  if (trials.length === 0)
    return [
      'No event type of the catalog has an `example`, so there are no lines to try here.',
      `Its event types: ${stack.url}/v1/events/types`,
    ];
  return [
    'Try, in this order and as often as you like:',
    ...trials.flatMap((trial, index) => [
      ...(trial.note === undefined ? [] : [`  # ${trial.note}`]),
      // A shell reads again sooner than a bounded reader is promised the change.
      `  ${curlOf(trial, stack, catalog, { isStrong: trials.slice(0, index).some((earlier) => 'send' in earlier) })}`,
    ]),
  ];
}

function isEmpty({ entities, histories, events, views, features, models }: Catalog): boolean {
  return [entities, histories, events, views, features, models].every(({ length }) => length === 0);
}
