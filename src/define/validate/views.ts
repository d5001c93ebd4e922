import type * as z from 'zod';
import type { Catalog } from '../catalog.ts';
import { answerCursors, cursorsIn } from '../list-cursor.ts';
import type { Report } from '../problem.ts';
import { SAMPLE_TEXTS } from '../sample-texts.ts';

/** For a longer grain, make the date a parameter of the view. */
const GRAIN_MS_MAX = 86_400_000;

/** Checks that the declared inputs of views can be provided. */
export function checkViews(catalog: Catalog, report: Report): void {
  for (const view of catalog.views) {
    const named = `view "${view.name}"`;
    const { grainMs } = view;
    if (grainMs !== undefined && !(grainMs % 1_000 === 0 && grainMs >= 1_000 && grainMs <= GRAIN_MS_MAX))
      report(
        view,
        named,
        `Its \`now\` has a granularity of ${grainMs / 1_000} s.`,
        'Declare `granularityS` as a whole number of seconds from 1 to 86,400.',
      );
    for (const { name, entity, features } of view.featureReads) {
      const other = features.find((feature) => feature.entity.name !== entity.name);
      if (other !== undefined)
        report(
          view,
          named,
          `It reads features of "${entity.name}" and of "${other.entity.name}" as "${name}".`,
          'Read those of another entity under another name, with a key of their own.',
        );
      const unknown = features.find((feature) => !catalog.features.includes(feature));
      if (unknown !== undefined)
        report(
          view,
          named,
          `It reads the feature "${unknown.name}", which the catalog does not have.`,
          'Export the feature from a module of the catalog: only then its events are folded.',
        );
    }
    if (view.isPublic && view.rows !== undefined)
      report(
        view,
        named,
        'It is public, so readers without a claim get its rows.',
        'Leave out `public`, or `rows` and `ownRows`.',
      );
    checkTexts(view, named, report);
    checkCursors(view, named, report);
    const reserved = Object.keys(view.vary).find((dimension) => dimension.startsWith('@'));
    if (reserved !== undefined)
      report(view, named, `It varies on "${reserved}".`, 'Choose a name that does not begin with "@".');
  }
}

/** Path and query are texts, so `z.int()` refuses every request with 400. */
function checkTexts(view: Catalog['views'][number], named: string, report: Report): void {
  for (const [place, { shape }] of [
    ['params', view.params],
    ['query', view.query],
  ] as const)
    for (const [name, schema] of Object.entries<z.core.$ZodType>(shape))
      if (takesNoText(schema as z.ZodType))
        report(
          view,
          named,
          `\`${place}.${name}\` accepts no text, but paths and queries contain only texts: every request would be refused.`,
          'Use the `params` of an entity, or coerce the text, e.g. `z.coerce.number().int()`.',
        );
}

/** The gateway signs the cursors of answers, and refuses those of requests that it has not signed. */
function checkCursors(view: Catalog['views'][number], named: string, report: Report): void {
  const [inPath] = cursorsIn(view.params, 'input');
  if (inPath !== undefined)
    report(view, named, `\`params.${inPath}\` is a cursor.`, 'Declare it in `query`.');
  const [taken] = cursorsIn(view.query, 'input');
  const [given] = answerCursors(view.response);
  if (taken !== undefined && given === undefined)
    report(
      view,
      named,
      `\`query.${taken}\` is a cursor, and no property of \`response\` is one: every cursor would be refused.`,
      'Declare `next: NextCursor` in `response`, from `define/list-cursor.ts`.',
    );
  if (taken === undefined && given !== undefined)
    report(
      view,
      named,
      `\`response.${given}\` is a cursor, and no parameter of \`query\` takes it.`,
      'Declare `after` with the `cursor` of the list in `query`.',
    );
}

function takesNoText(schema: z.ZodType): boolean {
  return SAMPLE_TEXTS.every((text) => {
    const parsed = schema.safeParse(text);
    return (
      parsed.error?.issues.some(({ code, path }) => code === 'invalid_type' && path.length === 0) ?? false
    );
  });
}
