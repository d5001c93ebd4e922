/**
 * `npm run check:catalog`: loads the catalog of this deployment, which fails for any mistake that
 * `src/define/validate.ts` finds, and says what it serves. `npm run check` and `npm run deploy` run it, and
 * `npm run dev` after a mistake was saved.
 */
import { runCommand } from './command-line/run.ts';
import { loadCatalog } from './project/catalog.ts';

await runCommand(async () => {
  const { entities, histories, eventTypes, views, features, models } = await loadCatalog();
  console.log(
    `The catalog has ${entities.length} entities, ${histories.length} histories, ${eventTypes.size} event types, ` +
      `${views.length} views, ${features.length} features and ${models.length} models.`,
  );
});
