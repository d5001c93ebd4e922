import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The static assets of the worker: the script of the page at `/docs`. The platform serves them without running the worker,
 * and they are no part of its bundle. The package has the script as a text within its module, ready for one request; the
 * package that Scalar itself is built from would install 280 others.
 */
const SCRIPT = /^var standalone_default = ("(?:[^"\\]|\\.)*");$/m;

/** The file's name never changes, so clients ask each day whether it does. */
const HEADERS = `/docs/*
  Cache-Control: public, max-age=86400
  X-Content-Type-Options: nosniff
`;

/** Writes the assets into a folder, for `--assets` of wrangler. @throws Error if the package has another form. */
export function writeDocsAssets(folder: string): void {
  const module = readFileSync(fileURLToPath(import.meta.resolve('@scalar/fastify-api-reference')), 'utf8');
  const [, literal] = SCRIPT.exec(module) ?? [];
  if (literal === undefined)
    throw new Error(
      'The script of Scalar is not where this version of @scalar/fastify-api-reference had it. See scripts/project/docs-assets.ts.',
    );
  mkdirSync(join(folder, 'docs'), { recursive: true });
  // A literal of JavaScript may have control characters in it, and one of JSON may not.
  const escaped = literal.replaceAll(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
  writeFileSync(join(folder, 'docs/scalar.js'), String(JSON.parse(escaped)));
  writeFileSync(join(folder, '_headers'), HEADERS);
}
