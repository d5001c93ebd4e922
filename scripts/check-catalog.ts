/**
 * `npm run check:catalog`: loads the catalog of this deployment, which fails for any mistake that
 * `src/define/validate.ts` finds, makes the JSON Schema of each contract, and says what the catalog serves.
 * `npm run check` and `npm run deploy` run it, and `npm run dev` after a mistake was saved.
 */
import { runCommand } from './command-line/run.ts';
import { loadCatalog } from './project/catalog.ts';
import { contractsOf } from './project/contracts.ts';

await runCommand(async () => {
  const catalog = await loadCatalog();
  contractsOf(catalog);
  const { entities, histories, eventTypes, views, features, models } = catalog;
  console.log(
    `The catalog has ${entities.length} entities, ${histories.length} histories, ${eventTypes.size} event types, ` +
      `${views.length} views, ${features.length} features and ${models.length} models.`,
  );
});
