import type { Command } from 'commander';

/** The name under which a shell calls the command line. */
const NAME = 'millrace';
const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function isShell(text: string): text is Shell {
  return SHELLS.some((shell) => shell === text);
}

/**
 * What may follow the words: names of commands, or options if the last word begins with a dash.
 *
 * @param words those after the name of the program; the last one is being typed.
 */
export function candidatesOf(program: Command, words: readonly string[]): string[] {
  let command = program;
  for (const word of words.slice(0, -1))
    command = command.commands.find((one) => one.name() === word) ?? command;
  const last = words.at(-1) ?? '';
  const options = [...command.options, ...program.options].flatMap(({ long }) => long ?? []);
  const names = command.commands.map((one) => one.name());
  const known = last.startsWith('-') ? [...new Set([...options, '--help'])] : names;
  return known.filter((one) => one.startsWith(last)).sort();
}

/** A function `millrace` for the shell, that does what `npm run cli --` does, with its completion. */
export function completionScript(shell: Shell, folder: string): string {
  const quoted = (path: string) => `'${`${folder}/${path}`.replaceAll("'", "'\\''")}'`;
  const run = `${quoted('node_modules/.bin/node')} ${quoted('scripts/cli.ts')}`;
  if (shell === 'fish')
    return [
      `function ${NAME}; ${run} $argv; end`,
      `complete -c ${NAME} -f -a "(${run} complete -- (commandline -opc)[2..] (commandline -ct))"`,
    ].join('\n');
  const lines = [
    `${NAME}() { ${run} "$@"; }`,
    `_${NAME}() { COMPREPLY=($(${run} complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)); }`,
    `complete -o default -F _${NAME} ${NAME}`,
  ];
  return [...(shell === 'zsh' ? ['autoload -U +X bashcompinit && bashcompinit'] : []), ...lines].join('\n');
}
