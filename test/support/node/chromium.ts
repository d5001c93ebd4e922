import { executable } from './executable.ts';

/** The program that CHROMIUM names, or the first of the usual names in the path; undefined if there is none. */
export const CHROMIUM = chromiumPath();
/** For the titles of tests in a browser. */
export const CHROMIUM_TITLE =
  CHROMIUM ?? 'a Chromium: none is in the path and CHROMIUM names none; .ci/run installs one';

function chromiumPath(): string | undefined {
  const named = process.env['CHROMIUM'];
  if (named !== undefined && named !== '') return named;
  return executable('chromium', 'chromium-browser', 'google-chrome');
}
