import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';

const ASK_EVERY_MS = 2_000;
const LOOK_EVERY_MS = 250;
/** As many characters of a version as tell it from others. */
const DIGEST_SHOWN = 12;

/** `features` and `digest`: what the feature store has. */
export function registerFeatures(program: Command): void {
  const features = program
    .command('features')
    .description('reads features, and shows and builds their versions');
  features
    .command('read')
    .description('reads the features of entities as they are now')
    .argument('<entity>')
    .argument('<keys...>')
    .option('--feature <name...>', 'only these features')
    .action(async (entity: string, keys: string[], { feature }: { feature?: string[] }, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/features/read', {
        body: { entity, keys, ...(feature === undefined ? {} : { features: feature }) },
        isRepeatable: true,
      });
      const rows = data.results.flatMap(({ key, features }) =>
        Object.entries(features).map(([name, of]) => [
          key,
          name,
          of.value,
          of.status,
          of.eventAt === null ? null : new Date(of.eventAt).toISOString(),
        ]),
      );
      cli.table(data, ['key', 'feature', 'value', 'status', 'newest event'], rows);
    });
  features
    .command('list')
    .description('lists the versions of the features with their states')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      showStates(cli, (await cli.client.get('/v1/admin/features')).data);
    });
  features
    .command('backfill')
    .description('builds the features that are not ready from history, and waits for it')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      showStates(cli, await backfilled(cli));
    });
  features
    .command('shards')
    .description('gives an entity more shards while it is served, and waits for it')
    .argument('<entity>')
    .argument('<count>', 'the number of shards; as many as there are cancel a move')
    .action(async (entity: string, count: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data, shards } = await moved(cli, entity, wholeNumberOf('<count>', count, { min: 1 }));
      cli.table(
        data,
        ['entity', 'shards'],
        shards.map((one) => [one.entity, one.shards]),
      );
    });
  program
    .command('digest')
    .description('prints a digest of all features; equal features have equal digests')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/features/digest');
      cli.print(data, digestLine(data));
    });
}

export function digestLine({
  digest,
  cells,
  events,
}: {
  digest: string;
  cells: number;
  events: number;
}): string {
  return `${digest}  ${cells} cells of ${events} folds`;
}

interface States {
  readonly features: readonly {
    readonly entity: string;
    readonly feature: string;
    readonly digest: string;
    readonly state: string;
    readonly since: string | null;
  }[];
  readonly backfill: { readonly events: number; readonly total: number } | null;
  readonly failure: string | null;
}

function showStates(cli: Cli, states: States): void {
  const rows = states.features.map(({ entity, feature, digest, state, since }) => [
    ...[entity, feature, state, since],
    digest.slice(0, DIGEST_SHOWN),
  ]);
  cli.table(states, ['entity', 'feature', 'state', 'since', 'version'], rows);
}

/** Asks for the shards until the entity has them. Each call fills them with a bounded part of a long history. */
async function moved(cli: Cli, entity: string, count: number) {
  const startedAt = performance.now();
  for (let told: string | undefined; ; await sleep(LOOK_EVERY_MS)) {
    const { data } = await cli.client.post('/v1/admin/features/backfill', {
      query: { entity, shards: count },
      isRepeatable: true,
    });
    const own = data.shards.find((one) => one.entity === entity);
    if (own === undefined || own.building === null) {
      cli.reporter.finish();
      return { data, shards: data.shards };
    }
    if (data.failure !== null && data.failure !== told) {
      told = data.failure;
      cli.reporter.notice(`A step failed and is repeated: ${told}`);
    }
    const { events, total } = own.building;
    const fraction = total === 0 ? 0 : events / total;
    cli.reporter.progress({
      ...{ unit: 'events', done: events, total, doneByRun: events, fraction, fractionAtStart: 0 },
      elapsedMs: performance.now() - startedAt,
    });
  }
}

/** Asks for a backfill until no feature waits for one. Each call builds a bounded part of a long history. */
async function backfilled(cli: Cli): Promise<States> {
  const startedAt = performance.now();
  let told: string | undefined;
  for (;;) {
    const { data } = await cli.client.post('/v1/admin/features/backfill', { isRepeatable: true });
    let states: States = data;
    const askAgainAt = performance.now() + ASK_EVERY_MS;
    while (performance.now() < askAgainAt) {
      if (!states.features.some(({ state }) => state === 'waiting' || state === 'filling')) {
        cli.reporter.finish();
        return states;
      }
      if (states.failure !== null && states.failure !== told) {
        told = states.failure;
        cli.reporter.notice(`A step failed and is repeated: ${told}`);
      }
      const { events, total } = states.backfill ?? { events: 0, total: 0 };
      const fraction = total === 0 ? 0 : events / total;
      cli.reporter.progress({
        ...{ unit: 'events', done: events, total, doneByRun: events, fraction, fractionAtStart: 0 },
        elapsedMs: performance.now() - startedAt,
      });
      await sleep(LOOK_EVERY_MS);
      states = (await cli.client.get('/v1/admin/features')).data;
    }
  }
}
