/**
 * `npm run check:catalog`: loads the catalog of this deployment, which fails for any mistake that
 * `src/define/validate.ts` finds, and says what it serves. `npm run check` and `npm run deploy` run it.
 */
try {
  const { catalog }: typeof import('../src/catalog/index.ts') = await import('../src/catalog/index.ts');
  const { entities, histories, eventTypes, views, features, models } = catalog;
  console.log(
    `The catalog has ${entities.length} entities, ${histories.length} histories, ${eventTypes.size} event types, ` +
      `${views.length} views, ${features.length} features and ${models.length} models.`,
  );
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

export {};
