import { Argument, type Command } from 'commander';
import { PHASE_NAMES, PHASE_STATES, type PhaseName, type PhaseState } from '../../../src/platform/phases.ts';
import { Cli } from '../cli.ts';

/** `phases`: shows the phases, and switches one of them. */
export function registerPhases(program: Command): void {
  const phases = program.command('phases').description('shows and switches the phases');
  phases
    .command('list')
    .description('shows the state of each phase, and who switched it why')
    .action(async (_, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get('/v1/admin/phases');
      const rows = PHASE_NAMES.map((name) => {
        const { state, at, by, reason } = data.phases[name];
        return [name, state, at, by, reason];
      });
      const { queued, unrelayed } = data.waiting;
      const items = Object.values(queued ?? {}).reduce((sum, count) => sum + count, 0);
      cli.reporter.notice(
        `Waiting: ${queued === null ? 'no queue tells how many items' : `${items} items in queues`}, ${unrelayed ?? 'an unknown number of'} changes to relay.`,
      );
      cli.table(data, ['phase', 'state', 'since', 'by', 'reason'], rows);
    });
  phases
    .command('set')
    .description('switches a phase; everywhere within two seconds')
    .addArgument(new Argument('<phase>').choices(PHASE_NAMES))
    .addArgument(new Argument('<state>').choices(PHASE_STATES))
    .requiredOption('--reason <text>', 'why; the audit log keeps it')
    .action(async (phase: PhaseName, state: PhaseState, { reason }: { reason: string }, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.put('/v1/admin/phases/{phase}', {
        path: { phase },
        body: { state, reason },
      });
      cli.print(data, `${phase} is ${data.phases[phase].state}.`);
    });
}
