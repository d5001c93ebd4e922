import type { Command } from 'commander';
import { UsageError } from '../../command-line/options.ts';
import { Cli } from '../cli.ts';
import { headerOf, inspectionText } from '../inspection-text.ts';

interface What {
  readonly tag?: string[];
  readonly path?: string;
  readonly view?: string;
  readonly everything?: boolean;
  readonly newEpoch?: boolean;
}

interface InspectFlags {
  readonly owner?: string;
  readonly principal?: string;
  readonly header?: string[];
}

/** `cache`: invalidates answers, and shows how the cache answers. */
export function registerCache(program: Command): void {
  const cache = program
    .command('cache')
    .description('invalidates cached answers, and shows how one is answered');
  cache
    .command('invalidate')
    .description('invalidates answers by one of the options; reads with the printed token reflect it')
    .option('--tag <tag...>', 'a tag, such as ENTITY:KEY; may be repeated')
    .option('--path <path>', 'an address, with its query')
    .option('--view <name>', 'all answers of a view or a model')
    .option('--everything', 'all answers')
    .option(
      '--new-epoch',
      'all answers and all tokens, by a new epoch of the clock: after a restore of the database',
    )
    .action(async ({ tag, path, view, everything, newEpoch }: What, command: Command) => {
      const bodies = [
        ...(tag === undefined ? [] : [{ tags: tag }]),
        ...(path === undefined ? [] : [{ path }]),
        ...(view === undefined ? [] : [{ view }]),
        ...(everything === true ? [{ everything }] : []),
        ...(newEpoch === true ? [{ epoch: 'new' as const }] : []),
      ] as const;
      const [body] = bodies;
      if (body === undefined || bodies.length > 1)
        throw new UsageError('Give one of --tag, --path, --view, --everything and --new-epoch.');
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/admin/cache/purge', { body });
      cli.print(data, `Invalidated. Millrace-Token: ${data.token}`);
    });
  cache
    .command('inspect')
    .description('says of each tier whether it has the answer of an address, and why that is valid or not')
    .argument('<path>', 'an address of a cached view or model, with its query')
    .option('--owner <value>', 'whose rows, for a view that a claim limits: a value of the claim, or *')
    .option('--principal <principal>', 'whose answer, for a view that depends on it, such as key:ID')
    .option('--header <header...>', 'a header that chooses the variant, such as "Accept-Language: de"')
    .action(async (path: string, flags: InspectFlags, command: Command) => {
      if (!path.startsWith('/')) throw new UsageError(`The path begins with a slash, not as "${path}".`);
      const headers = Object.fromEntries((flags.header ?? []).map(headerOf));
      const cli = new Cli(command);
      const { owner, principal } = flags;
      const { data } = await cli.client.get('/v1/admin/cache/inspect', {
        query: {
          path,
          ...(owner === undefined ? {} : { owner }),
          ...(principal === undefined ? {} : { principal }),
        },
        headers,
      });
      cli.print(data, inspectionText(data));
    });
  cache
    .command('stats')
    .description('shows the hit ratio of each view over the last hour')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/cache/stats');
      const hour = data.windows['60'];
      const rows = Object.entries(hour?.views ?? {}).map(([view, { answers, ratio }]) => [
        view,
        answers,
        ratio === null ? null : ratio.toFixed(3),
        data.gate.views[view],
      ]);
      cli.table(data, ['view', 'answers', 'hit ratio', 'gate'], rows);
    });
}
