import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../..');

/** One way of docs/architecture.md: the files that a request or an event passes. */
export interface Way {
  /** In the order in which they are passed. */
  readonly steps: readonly string[];
  /** Files of work that the request or the event starts and does not wait for. */
  readonly beside: readonly string[];
  /** Files that all of these use. */
  readonly uses: readonly string[];
  /** The numbers that the page states: of steps, beside them, used, and in all. */
  readonly stated: readonly number[];
}

const WAYS = { hit: 'A warm hit', miss: 'A miss', event: 'An event' } as const;

/** The ways that docs/architecture.md describes. */
export function documentedWays(): Readonly<Record<keyof typeof WAYS, Way>> {
  const page = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
  const wayOf = (title: string): Way => {
    const section = page.split(`\n### ${title}\n`)[1]?.split(/\n###? /)[0];
    if (section === undefined) throw new Error(`docs/architecture.md has no section "${title}".`);
    const [path = '', beside = ''] = section.split('\n**Beside it**');
    const uses = /^\*\*What these use\*\*.*/m.exec(section)?.[0] ?? '';
    const counts = /^\*\*(.*?)\*\*/m.exec(section)?.[1] ?? '';
    return {
      steps: [...path.matchAll(/^\d+\. `([^`]+)`/gm)].map((match) => match[1] ?? ''),
      beside: [...beside.matchAll(/^- `([^`]+)`/gm)].map((match) => match[1] ?? ''),
      uses: [...uses.matchAll(/`([^`]+\.ts)`/g)].map((match) => match[1] ?? ''),
      stated: [...counts.matchAll(/\d+/g)].map(([number]) => Number(number)),
    };
  };
  return { hit: wayOf(WAYS.hit), miss: wayOf(WAYS.miss), event: wayOf(WAYS.event) };
}
