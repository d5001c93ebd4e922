import type { Command } from 'commander';
import type { components } from '../../../src/client/index.ts';
import { momentOf, wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';

type ApiKey = components['schemas']['ApiKey'];

/** `keys`: the API keys of the deployment. */
export function registerKeys(program: Command): void {
  const keys = program.command('keys').description('lists, creates, rotates and revokes API keys');
  keys
    .command('list')
    .description('lists the newest keys, without their secrets')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/keys', { query: { limit: 100 } });
      const rows = data.keys.map((key) => [
        key.id,
        key.name,
        key.scopes.join(' '),
        stateOf(key),
        key.lastUsedAt,
      ]);
      cli.table(data, ['id', 'name', 'scopes', 'state', 'last used'], rows);
    });
  keys
    .command('create')
    .description('creates a key, and shows it once')
    .argument('<name>', 'what the key is for')
    .requiredOption('--scope <scope...>', 'what it may do, such as data:read; may be repeated')
    .option('--expires <time>', 'until when it is valid (RFC 3339)')
    .action(async (name: string, options: { scope: string[]; expires?: string }, command: Command) => {
      const cli = new Cli(command);
      const expires =
        options.expires === undefined ? {} : { expiresAt: momentOf('--expires', options.expires) };
      // The server knows the scopes, and its refusal lists them.
      const body = { name, scopes: options.scope as ApiKey['scopes'], ...expires };
      const { data } = await cli.client.post('/v1/admin/keys', { body });
      cli.print(data, `${data.key}\nThe key ${data.id} is shown this once.`);
    });
  keys
    .command('rotate')
    .description('gives a key a new secret, and shows it once')
    .argument('<id>')
    .option('--overlap <seconds>', 'how long the old secret stays valid')
    .action(async (id: string, options: { overlap?: string }, command: Command) => {
      const cli = new Cli(command);
      const body =
        options.overlap === undefined
          ? {}
          : { overlapS: wholeNumberOf('--overlap', options.overlap, { min: 0 }) };
      const { data } = await cli.client.post('/v1/admin/keys/{id}/rotate', { path: { id }, body });
      cli.print(data, `${data.key}\nThe new secret of ${data.id} is shown this once.`);
    });
  keys
    .command('revoke')
    .description('revokes a key for good')
    .argument('<id>')
    .action(async (id: string, _, command: Command) => {
      const cli = new Cli(command);
      await cli.client.delete('/v1/admin/keys/{id}', { path: { id } });
      cli.print({ id, revoked: true }, `Revoked ${id}.`);
    });
}

function stateOf({ revokedAt, expiresAt }: ApiKey): string {
  if (revokedAt !== null) return 'revoked';
  if (expiresAt === null) return 'valid';
  return Date.parse(expiresAt) <= Date.now() ? 'expired' : `valid until ${expiresAt}`;
}
