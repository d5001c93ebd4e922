import type { Command } from 'commander';
import { UsageError } from '../../command-line/options.ts';
import { Cli } from '../cli.ts';

interface What {
  readonly tag?: string[];
  readonly path?: string;
  readonly view?: string;
  readonly everything?: boolean;
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
    .action(async ({ tag, path, view, everything }: What, command: Command) => {
      const bodies = [
        ...(tag === undefined ? [] : [{ tags: tag }]),
        ...(path === undefined ? [] : [{ path }]),
        ...(view === undefined ? [] : [{ view }]),
        ...(everything === true ? [{ everything }] : []),
      ] as const;
      const [body] = bodies;
      if (body === undefined || bodies.length > 1)
        throw new UsageError('Give one of --tag, --path, --view and --everything.');
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/admin/cache/purge', { body });
      cli.print(data, `Invalidated. Millrace-Token: ${data.token}`);
    });
  cache
    .command('inspect')
    .description('reads an address, and shows how the cache answered it')
    .argument('<path>', 'an address of a cached view, with its query')
    .action(async (path: string, _, command: Command) => {
      if (!path.startsWith('/')) throw new UsageError(`The path begins with a slash, not as "${path}".`);
      const cli = new Cli(command);
      const response = await cli.client.fetch(path);
      await response.body?.cancel();
      const names = ['cache-status', 'age', 'cache-control', 'etag', 'millrace-token', 'vary'];
      const shown = names.flatMap((name) => {
        const value = response.headers.get(name);
        return value === null ? [] : [[name, value] as const];
      });
      cli.table(Object.fromEntries(shown), ['header', 'value'], shown);
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
