import type { Command } from 'commander';
import { type AuditAnchor, verifyChain } from '../../../src/gateway/audit/chain.ts';
import { UsageError } from '../../command-line/options.ts';
import { momentOf, wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';
import { EXIT } from '../exit-codes.ts';

interface Filter {
  readonly principal?: string;
  readonly action?: string;
  readonly from?: string;
  readonly to?: string;
  readonly before?: string;
  readonly limit: string;
}

const COLUMNS = ['id', 'at', 'principal', 'action', 'target', 'outcome', 'begun'];
/** Entries in one request of a verification. */
const PAGE_ENTRIES = 500;

const BROKEN = {
  content: 'its content was changed after it was written',
  link: 'the entry before it was changed or removed',
  anchor: 'the log no longer has it with the hash that was given',
} as const;

/** `audit`: what callers of the operations changed, and whether the log is whole. */
export function registerAudit(program: Command): void {
  const audit = program.command('audit').description('lists the audit log, and verifies it');
  audit
    .command('list')
    .description('lists what callers of /v1/admin changed, the newest first')
    .option('--principal <principal>', 'only actions of this one, such as key:bootstrap')
    .option('--action <action>', 'only this action, such as cache.purge')
    .option('--from <time>', 'only entries at or after this moment (RFC 3339)')
    .option('--to <time>', 'only entries before this moment')
    .option('--before <id>', 'only entries with a smaller id: the next page')
    .option('--limit <n>', 'at most this many', '20')
    .action(async ({ principal, action, from, to, before, limit }: Filter, command: Command) => {
      const query = {
        limit: wholeNumberOf('--limit', limit, { min: 1, max: 200 }),
        ...(principal === undefined ? {} : { principal }),
        ...(action === undefined ? {} : { action }),
        ...(from === undefined ? {} : { from: momentOf('--from', from) }),
        ...(to === undefined ? {} : { to: momentOf('--to', to) }),
        ...(before === undefined ? {} : { before: wholeNumberOf('--before', before, { min: 1 }) }),
      };
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/audit', { query });
      const rows = data.entries.map((of) => {
        const { id, at, principal: by, action: did, target, outcome, begun } = of;
        return [id, at, by, did, target, outcome, begun];
      });
      cli.table(data, COLUMNS, rows);
      if (data.next !== null)
        cli.reporter.notice(`There are more: --before ${data.next} shows the next page.`);
    });
  audit
    .command('verify')
    .description(
      'computes the hash of each entry here, and compares the chain; the exit code 1 says it is broken',
    )
    .option('--from <id>', 'begins at an entry that was verified before; needs --hash')
    .option('--hash <hash>', 'the hash that this entry had then')
    .action(async (options: { from?: string; hash?: string }, command: Command) => {
      const anchor = anchorOf(options);
      const cli = new Cli(command);
      const verdict = await verifyLog(cli, anchor);
      const { checked, verifiedTo, broken } = verdict;
      const count = `${checked} ${checked === 1 ? 'entry is' : 'entries are'} intact`;
      const lines =
        broken === null
          ? verifiedTo === null
            ? ['The audit log is empty.']
            : [
                `${count}, up to entry ${verifiedTo.id}.`,
                `Keep this outside the database, and begin there next time: --from ${verifiedTo.id} --hash ${verifiedTo.hash}`,
              ]
          : [`${count}. Entry ${broken.id} is broken: ${BROKEN[broken.reason]}.`];
      cli.print(verdict, lines.join('\n'));
      if (broken !== null) process.exitCode = EXIT.failed;
    });
}

/** @throws UsageError */
function anchorOf({ from, hash }: { from?: string; hash?: string }): AuditAnchor | undefined {
  if (from === undefined && hash === undefined) return undefined;
  if (from === undefined || hash === undefined)
    throw new UsageError('Give --from and --hash together, as an earlier verification printed them.');
  if (!/^[0-9a-f]{64}$/.test(hash))
    throw new UsageError('--hash takes the 64 hexadecimal digits that an earlier verification printed.');
  return { id: wholeNumberOf('--from', from, { min: 1 }), hash };
}

async function verifyLog(cli: Cli, begin: AuditAnchor | undefined) {
  let anchor = begin;
  let checked = 0;
  for (;;) {
    const query = { from: anchor?.id ?? 1, limit: PAGE_ENTRIES };
    const { data } = await cli.client.get('/v1/admin/audit/chain', { query });
    const verdict = await verifyChain(data.links, anchor);
    // The anchor of a further page was counted with the page before.
    checked += Math.max(0, verdict.checked - (anchor === undefined || anchor === begin ? 0 : 1));
    const { broken } = verdict;
    const verifiedTo = broken?.reason === 'anchor' ? null : (verdict.verifiedTo ?? anchor ?? null);
    const isComplete = data.next === null;
    if (broken !== null || isComplete) return { checked, verifiedTo, isComplete: broken === null, broken };
    anchor = verifiedTo ?? undefined;
    if (checked % 5_000 < PAGE_ENTRIES) cli.reporter.notice(`${checked} entries verified`);
  }
}
