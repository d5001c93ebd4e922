import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The program that CHROMIUM names, or the first of the usual names in the path; undefined if there is none. */
export const CHROMIUM = chromiumPath();
/** For the titles of tests in a browser. */
export const CHROMIUM_TITLE =
  CHROMIUM ?? 'a Chromium: none is in the path and CHROMIUM names none; .ci/run installs one';

function chromiumPath(): string | undefined {
  const named = process.env['CHROMIUM'];
  if (named !== undefined && named !== '') return named;
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return ['chromium', 'chromium-browser', 'google-chrome']
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
