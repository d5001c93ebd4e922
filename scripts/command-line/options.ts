import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/** A mistake in how a command was called: the exit code is 2, as shells have it. */
export class UsageError extends Error {}

/** Names that npm has settings of its own for: `npm_config_…` is set by them, too. */
const NPM_SETTINGS: ReadonlySet<string> = new Set(['key', 'force', 'help', 'json']);

interface Call<Options extends ParseArgsOptionsConfig> {
  /** The command as it is typed, without its options: `npm run dev`, `npm run cli -- digest`. */
  readonly command: string;
  readonly options: Options;
  /** How many arguments without a dash there may be. */
  readonly positionalsMax?: number;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads the options of a command, as `parseArgs` of Node does. Messages refer to `--help`, or list the options of a
 * command that declares no `help`.
 *
 * @throws UsageError, of one line: for an unknown option with the nearest one, for a value that is missing or too much,
 *   for an argument that the command does not take, and for an option that npm took for itself because `--` is missing.
 */
export function readOptions<const Options extends ParseArgsOptionsConfig>({
  command,
  options,
  positionalsMax = 0,
  args = process.argv.slice(2),
  env = process.env,
}: Call<Options>) {
  const typed = command.includes(' -- ') ? command : `${command} --`;
  const names = Object.keys(options).map((name) => `--${name}`);
  const takes = names.length === 0 ? 'takes no options' : `takes ${names.join(', ')}`;
  const list = Object.hasOwn(options, 'help')
    ? `\`${typed} --help\` lists the options.`
    : `\`${command}\` ${takes}.`;
  assertNotTakenByNpm(Object.keys(options), typed, env);
  const { tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) if (token.kind === 'option') assertOption(token, options, list);
  const parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  const surplus = parsed.positionals[positionalsMax];
  if (surplus === undefined) return parsed;
  const taken = positionalsMax === 0 ? 'no arguments' : `${positionalsMax} argument(s)`;
  throw new UsageError(`\`${command}\` takes ${taken} without a dash; "${surplus}" is one too many. ${list}`);
}

/**
 * @param typed the command as it is typed, with the two dashes: `npm run dev --`.
 * @throws UsageError for an option that npm took for itself because `--` is missing.
 */
export function assertNotTakenByNpm(
  names: readonly string[],
  typed: string,
  env: Readonly<Record<string, string | undefined>>,
): void {
  for (const name of names)
    if (!NPM_SETTINGS.has(name) && env[`npm_config_${name.replaceAll('-', '_')}`] !== undefined)
      throw new UsageError(
        `npm read --${name} as an option of its own: write \`${typed} --${name}\`, with the two dashes before it.`,
      );
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function assertOption(
  { name, rawName, value, inlineValue }: OptionToken,
  options: ParseArgsOptionsConfig,
  list: string,
): void {
  const declared = Object.hasOwn(options, name) ? options[name] : undefined;
  if (declared === undefined) {
    const near = nearest(name, Object.keys(options));
    throw new UsageError(
      `There is no option ${rawName}.${near === undefined ? '' : ` Did you mean --${near}?`} ${list}`,
    );
  }
  if (declared.type === 'boolean') {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value, but has "${value}". ${list}`);
    return;
  }
  if (value === undefined || value === '') throw new UsageError(`${rawName} needs a value. ${list}`);
  if (inlineValue === false && value.startsWith('-'))
    throw new UsageError(
      `${rawName} needs a value, but "${value}" follows it. Write a value that begins with a dash as ${rawName}=${value}.`,
    );
}

/** The known name that a mistyped one most probably means; undefined where none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((candidate) => ({ candidate, distance: distanceOf(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  if (best === undefined) return undefined;
  const isBeginning = name.length >= 2 && best.candidate.startsWith(name);
  return isBeginning || best.distance <= Math.max(1, Math.floor(name.length / 3))
    ? best.candidate
    : undefined;
}

/** Levenshtein's distance: insertions, deletions and replacements of one character. Two swapped ones count as one. */
function distanceOf(from: string, to: string): number {
  const rows: number[][] = Array.from({ length: from.length + 1 }, (_, index) => [index]);
  const at = (row: number, column: number): number => rows[row]?.[column] ?? column;
  for (let row = 1; row <= from.length; row += 1)
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      const isSwapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      const steps = [
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (isSame ? 0 : 1),
      ];
      if (isSwapped) steps.push(at(row - 2, column - 2) + 1);
      const current = rows[row];
      if (current !== undefined) current[column] = Math.min(...steps);
    }
  return at(from.length, to.length);
}
