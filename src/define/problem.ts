/** A mistake in a declaration. */
export interface CatalogProblem {
  /** The declaration and, if known, its file: `the view "station" (views.ts, stationPage)`. */
  readonly declaration: string;
  /** What is wrong, as a sentence. */
  readonly problem: string;
  /** What to do, as a sentence. */
  readonly remedy: string;
}

/** Reports a mistake of a definition. */
export type Report = (definition: unknown, named: string, problem: string, remedy: string) => void;

/** Reports a mistake of one definition, with the place within it. */
export type Within = (problem: string, remedy: string, ...place: string[]) => void;

/** The most mistakes shown at once; the others are only counted. */
const SHOWN_MAX = 20;

/** The catalog has mistakes: the worker does not start, `npm run check` fails, and nothing is deployed. */
export class CatalogError extends Error {
  readonly problems: readonly CatalogProblem[];

  constructor(problems: readonly CatalogProblem[]) {
    const shown = problems.slice(0, SHOWN_MAX).map(problemText);
    const more = problems.length > SHOWN_MAX ? [`… and ${problems.length - SHOWN_MAX} more.`] : [];
    super([`The catalog has ${problems.length} mistake(s):`, ...shown, ...more].join('\n'));
    this.name = 'CatalogError';
    this.problems = problems;
  }
}

/** A problem may end with the message of another library, which has no full stop. */
function problemText({ declaration, problem, remedy }: CatalogProblem): string {
  return `  ${declaration}: ${problem}${/[.!?]$/.test(problem) ? '' : '.'} ${remedy}`;
}
