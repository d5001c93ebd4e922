import type { Case } from './cases.ts';

export interface Report {
  /** In Markdown. */
  readonly text: string;
  /** Cases that are neither right nor refused. */
  readonly bad: readonly Case[];
}

const MEANINGS = {
  right: 'as ONNX says, within the tolerance of its own runner',
  rounded:
    'differs by the rounding of the float type: at most eight of its steps at the greatest magnitude of inputs and outputs',
  refused: 'refused at registration, for one of the reasons below',
  failed: 'registered, and then an error',
  wrong: 'another answer than ONNX says',
} as const;

/** Counts cases by verdict and refusals by reason. */
export function reportOf(cases: readonly Case[]): Report {
  const byVerdict = Map.groupBy(cases, ({ verdict }) => verdict);
  const refused = byVerdict.get('refused') ?? [];
  const byReason = Map.groupBy(refused, reasonOf);
  const reasons = [...byReason].toSorted(
    ([left, ofLeft], [right, ofRight]) => ofRight.length - ofLeft.length || left.localeCompare(right),
  );
  return {
    text: [
      '| verdict | cases | |',
      '| --- | --- | --- |',
      ...Object.entries(MEANINGS).map(
        ([verdict, meaning]) =>
          `| ${verdict} | ${cases.filter((of) => of.verdict === verdict).length} | ${meaning} |`,
      ),
      `| all | ${cases.length} | |`,
      '',
      `Rounded: ${(byVerdict.get('rounded') ?? []).map(({ name }) => `\`${name}\``).join(', ')}.`,
      '',
      '| refused | reason | operators of these cases |',
      '| --- | --- | --- |',
      ...reasons.map(([reason, of]) => `| ${of.length} | ${reason} | ${operatorsOf(of)} |`),
    ].join('\n'),
    bad: cases.filter(({ verdict }) => verdict === 'failed' || verdict === 'wrong'),
  };
}

/** The reason without the names and numbers of one graph. */
function reasonOf({ detail }: Case): string {
  return (detail ?? 'none')
    .replace(
      /^The (input|output) "[^"]*" has ONNX's element type.*/,
      'an input or output has an element type that the protocol does not have',
    )
    .replace(
      /^The (input|output) "[^"]*" is not a tensor.*/,
      'an input or output is a sequence or an optional, not a tensor',
    )
    .replace(
      /^The model uses ONNX opset (\d+);.*/,
      'the model uses ONNX opset $1, which is newer than the runtime',
    )
    .replace(/Inferred=\d+ Declared=\d+ Dimension=\d+/, '')
    .replace(/^The runtime cannot load this graph\. /, 'the runtime: ')
    .trim();
}

const OPERATORS_SHOWN = 8;

function operatorsOf(cases: readonly Case[]): string {
  const single = cases.filter(({ operators }) => operators.length === 1);
  const names = new Set((single.length === 0 ? cases : single).flatMap(({ operators }) => operators));
  const sorted = [...names].map((name) => name.replace(/^:/, '')).toSorted();
  const more = sorted.length - OPERATORS_SHOWN;
  return sorted.slice(0, OPERATORS_SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

const START = '<!-- verdicts -->';
const END = '<!-- end of verdicts -->';

/** The page with this table between its marks. */
export function tableIn(page: string, table: string): string {
  const [start, end] = [page.indexOf(START), page.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`The page has no ${START} and ${END}.`);
  return `${page.slice(0, start + START.length)}\n\n${table}\n\n${page.slice(end)}`;
}
