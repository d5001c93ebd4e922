import type { Command } from 'commander';
import { Cli } from '../cli.ts';

/** `lifecycle` shows what is kept where, what bounds it, and what retention has removed. */
export function registerLifecycle(program: Command): void {
  program
    .command('lifecycle')
    .description(
      'shows every store: how long it is kept, how large it is, and what retention has removed of it',
    )
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/lifecycle');
      const rows = data.stores.map(({ store, items, bytes, oldest, declared, bound, cleaned }) => [
        ...[store, items ?? 'unknown', bytes ?? 'unknown', oldest],
        declared.length === 0
          ? bound
          : declared.map(({ entry, days }) => `${entry}: ${days} days`).join(', '),
        cleaned.map(({ target, removed, at }) => `${target}: ${removed}, last ${at ?? 'unknown'}`).join('; '),
      ]);
      const { walk } = data;
      const walked = walk === null ? 'R2 was not counted yet' : `R2 was counted ${walk.endedAt ?? 'never'}`;
      cli.reporter.notice(`${walked}${walk?.isUnderWay === true ? ', and is being counted' : ''}.`);
      cli.table(data, ['store', 'items', 'bytes', 'oldest', 'kept', 'removed'], rows);
    });
}
