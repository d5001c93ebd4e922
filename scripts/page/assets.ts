/** The scripts and the style of the pages for people, bundled and minified for `src/gateway/page/assets.ts`. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '../..');
const BROWSER = 'src/gateway/page/browser';
/** The file that holds them, relative to the repository. */
export const ASSETS = 'src/gateway/page/assets.ts';

/** The text of the file: it depends on the sources in `browser/` and on the version of esbuild. */
export async function assetsModule(): Promise<string> {
  const script = await bundled('main.ts');
  const models = await bundled('models.ts');
  const dashboards = await bundled('dashboards/main.ts');
  const style = await bundled('page.css');
  const dashboardsStyle = await bundled('dashboards/dashboards.css');
  return [
    '/** Built by `npm run page` from `browser/`; do not edit. The hashes are those of the content security policy. */',
    `export const SCRIPT = ${asset(script)} as const;`,
    `export const MODELS_SCRIPT = ${asset(models)} as const;`,
    `export const DASHBOARDS_SCRIPT = ${asset(dashboards)} as const;`,
    `export const STYLE = ${asset(style)} as const;`,
    `export const DASHBOARDS_STYLE = ${asset(dashboardsStyle)} as const;`,
    '',
  ].join('\n');
}

function asset(text: string): string {
  const hash = `sha256-${createHash('sha256').update(text).digest('base64')}`;
  return JSON.stringify({ hash, text });
}

/** @throws Error for a text that would end the element that it is put into. */
async function bundled(entry: string): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: [join(BROWSER, entry)],
    bundle: true,
    minify: true,
    format: 'esm',
    // Browsers of the last three years.
    target: 'es2022',
    charset: 'utf8',
    write: false,
  });
  const text = (outputFiles[0]?.text ?? '').trim();
  if (/<\/(script|style)|<!--/i.test(text))
    throw new Error(`${entry} contains a text that ends its element.`);
  return text;
}
