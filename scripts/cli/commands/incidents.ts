import type { Command } from 'commander';
import { UsageError } from '../../command-line/options.ts';
import { wholeNumberOf } from '../../command-line/values.ts';
import { Cli } from '../cli.ts';

const PATH = '/v1/admin/incidents';
const STATES = ['open', 'acknowledged', 'resolved'] as const;

const idOf = (text: string) => wholeNumberOf('ID', text, { min: 1 });

/** `incidents`: what fails or failed, with its timeline. */
export function registerIncidents(program: Command): void {
  const incidents = program.command('incidents').description('shows incidents, and what people do to them');
  incidents
    .command('list')
    .description('lists the incidents, the newest first')
    .option('--state <state>', 'open, acknowledged or resolved')
    .action(async ({ state }: { state?: string }, command: Command) => {
      const cli = new Cli(command);
      const known = STATES.find((of) => of === state);
      if (state !== undefined && known === undefined)
        throw new UsageError(`--state takes ${STATES.join(', ')}, not "${state}".`);
      const query = { limit: 50, ...(known === undefined ? {} : { state: known }) };
      const { data } = await cli.client.get(PATH, { query });
      const rows = data.incidents.map((of) => [
        of.id,
        of.state,
        of.severity,
        of.openedAt,
        of.resolvedAt,
        of.title,
      ]);
      cli.table(data, ['id', 'state', 'severity', 'opened', 'resolved', 'title'], rows);
    });
  incidents
    .command('show')
    .description('shows an incident with its timeline')
    .argument('<id>')
    .action(async (id: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get(`${PATH}/{id}`, { path: { id: idOf(id) } });
      cli.reporter.notice(`${data.title} (${data.severity}, ${data.state}). ${data.runbook ?? ''}`);
      const rows = data.timeline.map(({ at, kind, by, text }) => [at, kind, by, text]);
      cli.table(data, ['at', 'what', 'by', ''], rows);
    });
  incidents
    .command('open')
    .description('opens an incident by hand')
    .argument('<title>')
    .option('--severity <severity>', 'page or ticket', 'ticket')
    .option('--text <text>', 'what is known')
    .action(async (title: string, flags: { severity: string; text?: string }, command: Command) => {
      const cli = new Cli(command);
      const body = { title, severity: severityOf(flags.severity), text: flags.text ?? '' };
      const { data } = await cli.client.post(PATH, { body });
      cli.print(data, `Incident ${data.id} is open.`);
    });
  incidents
    .command('postmortem')
    .description('prints a draft of the post-mortem, as Markdown')
    .argument('<id>')
    .action(async (id: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get(`${PATH}/{id}/postmortem`, { path: { id: idOf(id) } });
      cli.print({ markdown: data }, data);
    });
  registerActs(incidents);
}

function registerActs(incidents: Command): void {
  incidents
    .command('acknowledge')
    .description('says that somebody looks after an incident')
    .argument('<id>')
    .action(async (id: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post(`${PATH}/{id}/acknowledge`, {
        path: { id: idOf(id) },
        body: {},
      });
      cli.print(data, `Incident ${id} is ${data.state}.`);
    });
  incidents
    .command('note')
    .description('adds a note to the timeline of an incident')
    .argument('<id>')
    .argument('<text>')
    .action(async (id: string, text: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post(`${PATH}/{id}/notes`, {
        path: { id: idOf(id) },
        body: { text },
      });
      cli.print(data, `Incident ${id} has the note.`);
    });
  incidents
    .command('resolve')
    .description('resolves an incident')
    .argument('<id>')
    .option('--text <text>', 'what ended it')
    .action(async (id: string, { text }: { text?: string }, command: Command) => {
      const cli = new Cli(command);
      const body = { text: text ?? '' };
      const { data } = await cli.client.post(`${PATH}/{id}/resolve`, { path: { id: idOf(id) }, body });
      cli.print(data, `Incident ${id} is ${data.state}.`);
    });
  incidents
    .command('severity')
    .description('changes the severity of an incident')
    .argument('<id>')
    .argument('<severity>')
    .action(async (id: string, severity: string, _, command: Command) => {
      const cli = new Cli(command);
      const body = { severity: severityOf(severity) };
      const { data } = await cli.client.post(`${PATH}/{id}/severity`, { path: { id: idOf(id) }, body });
      cli.print(data, `Incident ${id} is a ${data.severity}.`);
    });
}

function severityOf(text: string): 'page' | 'ticket' {
  if (text === 'page' || text === 'ticket') return text;
  throw new UsageError(`A severity is page or ticket, not "${text}".`);
}
