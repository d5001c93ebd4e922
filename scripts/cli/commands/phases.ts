import { Argument, type Command } from 'commander';
import { PHASE_NAMES, PHASE_STATES, type PhaseName, type PhaseState } from '../../../src/platform/phases.ts';
import { Cli } from '../cli.ts';

/** `phases`: shows the phases, switches one of them, and approves a switch; `gates`: measures what guards them. */
export function registerPhases(program: Command): void {
  const phases = program.command('phases').description('shows and switches the phases');
  phases
    .command('list')
    .description('shows the state of each phase, and who switched it why')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/phases');
      const rows = PHASE_NAMES.map((name) => {
        const { state, at, by, reason, approvedBy, asked } = data.phases[name];
        const waits = asked === null ? null : `${asked.by}, until ${asked.until}: ${asked.gates.join(', ')}`;
        return [name, state, at, by, reason, approvedBy, waits];
      });
      const { queued, unrelayed } = data.waiting;
      const items = Object.values(queued ?? {}).reduce((sum, count) => sum + count, 0);
      cli.reporter.notice(
        `Waiting: ${queued === null ? 'no queue tells how many items' : `${items} items in queues`}, ${unrelayed ?? 'an unknown number of'} changes to relay.`,
      );
      cli.table(data, ['phase', 'state', 'since', 'by', 'reason', 'approved by', 'asked'], rows);
    });
  phases
    .command('set')
    .description('switches a phase; everywhere within two seconds')
    .addArgument(new Argument('<phase>').choices(PHASE_NAMES))
    .addArgument(new Argument('<state>').choices(PHASE_STATES))
    .requiredOption('--reason <text>', 'why; the audit log keeps it')
    .option('--override', 'asks a second principal, if gates of the phase do not hold')
    .action(
      async (
        phase: PhaseName,
        state: PhaseState,
        { reason, override = false }: { reason: string; override?: boolean },
        command: Command,
      ) => {
        const cli = new Cli(command);
        const { data } = await cli.client.put('/v1/admin/phases/{phase}', {
          path: { phase },
          body: { state, reason, ...(override ? { override } : {}) },
        });
        const { asked, state: now } = data.phases[phase];
        const waits = `${phase} is ${now}. Gates do not hold (${asked?.gates.join(', ')}): with another key, run phases approve ${phase}`;
        cli.print(data, state === now || asked === null ? `${phase} is ${now}.` : waits);
      },
    );
  phases
    .command('approve')
    .description('approves a switch whose gates do not hold, with another key than who asked for it')
    .addArgument(new Argument('<phase>').choices(PHASE_NAMES))
    .action(async (phase: PhaseName, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post('/v1/admin/phases/{phase}/approve', { path: { phase } });
      cli.print(data, `${phase} is ${data.phases[phase].state}.`);
    });
  registerGates(program);
}

function registerGates(program: Command): void {
  program
    .command('gates')
    .description('measures the gates that guard the cache and inference; --json shows all evidence')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/gates');
      const verdict = (holds: boolean | null) => (holds === null ? 'unknown' : holds ? 'holds' : 'closed');
      const rows = data.gates.map(({ gate, phase, holds, measured, reason }) => [
        ...[phase, gate, verdict(holds)],
        ...[figures(measured), reason],
      ]);
      const isOpen = (open: boolean) => (open ? 'open' : 'closed');
      cli.reporter.notice(
        `The gates of the cache are ${isOpen(data.open.cache)}, those of inference ${isOpen(data.open.inference)}.`,
      );
      cli.table(data, ['phase', 'gate', 'verdict', 'measured', 'why'], rows);
    });
}

function figures(measured: Readonly<Record<string, number | string | null>>): string {
  return Object.entries(measured)
    .map(([name, value]) => `${name} ${value ?? 'unknown'}`)
    .join(', ');
}
