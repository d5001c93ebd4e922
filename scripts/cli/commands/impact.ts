import { Argument, type Command, Option } from 'commander';
import { Cli } from '../cli.ts';

/** The kinds in the order of the text, with the heading of each. */
const HEADINGS = {
  view: 'Views',
  tag: 'Tags',
  entity: 'Entities',
  feature: 'Features',
  model: 'Models',
  dashboard: 'Dashboards',
  alert: 'Alerts',
  event: 'Event types',
  field: 'Fields of events',
  rule: 'Rules of quality',
  route: 'Routes',
  table: 'Tables',
  column: 'Columns',
  objective: 'Objectives',
  metric: 'Metrics',
} as const;

/** `impact`: what a change of an element of the catalog concerns. */
export function registerImpact(program: Command): void {
  program
    .command('impact')
    .description('shows what a change of a column, an event, a feature, … concerns')
    .addArgument(new Argument('<element>', 'such as stations.capacity, or kind:name'))
    .addOption(
      new Option('--direction <direction>', 'what depends on it, or what it depends on')
        .choices(['down', 'up'])
        .default('down'),
    )
    .action(async (element: string, { direction }: { direction: 'down' | 'up' }, command: Command) => {
      const cli = new Cli(command);
      const data = await answered(cli, element, direction);
      cli.print(data, textOf(data));
    });
}

async function answered(cli: Cli, element: string, direction: 'down' | 'up') {
  const { data } = await cli.client.get('/v1/impact', { query: { element, direction } });
  return data;
}

type Answer = Awaited<ReturnType<typeof answered>>;

function textOf({ element, found, writers, principals, unknown, truncated }: Answer): string {
  const kinds = Object.entries(HEADINGS) as [keyof typeof HEADINGS, string][];
  const sections = kinds.map(([kind, heading]) => {
    const rows = found[kind].map(({ name, how, by }) => {
      const ways = by.map(({ relation, from }) => `${relation} ${from}`);
      const [first = ''] = ways;
      return `  ${name} (${how}: ${first}${ways.length > 1 ? ` and ${ways.length - 1} more` : ''})`;
    });
    return section(heading, rows);
  });
  return [
    `${element.kind} ${element.name}${element.detail === '' ? '' : `: ${element.detail}`}`,
    section(
      'Written by',
      writers.map(({ from, to, how }) => `  ${from} (${how}, ${to})`),
    ),
    ...sections,
    section('Principals', [
      ...principals.seen.map(
        ({ principal, uses, total, lastHour }) =>
          `  ${principal} uses ${uses}: ${total} requests, ${lastHour} of them in the last hour`,
      ),
      ...principals.mayUse.map(
        ({ principal, scopes, lastUsedAt }) =>
          `  ${principal} may: ${scopes.join(', ')}; last used ${lastUsedAt ?? 'never'}`,
      ),
    ]),
    section('Not known', [
      ...unknown.map(({ about, reason }) => `  ${about}: ${reason}`),
      ...principals.unknown.map((reason) => `  principals: ${reason}`),
    ]),
    ...(truncated.length === 0 ? [] : [`Cut: ${truncated.join(', ')}.`]),
  ]
    .filter((text) => text !== '')
    .join('\n\n');
}

function section(heading: string, rows: readonly string[]): string {
  return rows.length === 0 ? '' : [`${heading}:`, ...rows].join('\n');
}
