/**
 * Changes of a schema that drizzle-kit asks about: a table or column that is gone beside one that is new is a rename,
 * or a drop and an addition. It asks on a terminal alone. Without one it prints a stack trace and exits with 0.
 */

/** The part of a drizzle snapshot that names tables and columns. */
export interface SchemaSnapshot {
  /** By `schema.table`. */
  readonly tables: Readonly<
    Record<string, { readonly columns: Readonly<Record<string, { readonly name: string }>> }>
  >;
}

/** What is gone and what is new in one place: columns of one table, or tables. */
export interface AmbiguousChange {
  /** The table, or undefined where tables themselves are meant. */
  readonly table: string | undefined;
  readonly gone: readonly string[];
  readonly added: readonly string[];
}

/** The changes between two snapshots that may be renames. */
export function ambiguousChanges(before: SchemaSnapshot, after: SchemaSnapshot): AmbiguousChange[] {
  const tables = { table: undefined, ...difference(Object.keys(before.tables), Object.keys(after.tables)) };
  const columns = Object.entries(after.tables).flatMap(([table, { columns }]) => {
    const previous = before.tables[table];
    return previous === undefined
      ? []
      : [{ table, ...difference(namesOf(previous.columns), namesOf(columns)) }];
  });
  return [tables, ...columns].filter(({ gone, added }) => gone.length > 0 && added.length > 0);
}

/** The message for them: what is ambiguous, and what to do without a terminal. */
export function explainAmbiguous(changes: readonly AmbiguousChange[], file: string): string {
  const lines = changes.map(({ table, gone, added }) => {
    const where = table === undefined ? 'tables' : `columns of ${table}`;
    return `  - ${where}: gone ${gone.join(', ')}; new ${added.join(', ')}`;
  });
  return `Each of these may be a rename, which keeps the data, or a drop and an addition, which deletes it:
${lines.join('\n')}
drizzle-kit asks which, and needs a terminal for it. Nothing was written. Do one of these:
  - run the same command in a terminal, and answer;
  - for a rename in the code alone, leave the database's name as it is: title: text('name');
  - for a drop and an addition, declare both the new and the old in ${file} and run the command; then remove the
    old and run it again.`;
}

function difference(before: readonly string[], after: readonly string[]) {
  return {
    gone: before.filter((name) => !after.includes(name)),
    added: after.filter((name) => !before.includes(name)),
  };
}

function namesOf(columns: Readonly<Record<string, { readonly name: string }>>): string[] {
  return Object.values(columns).map(({ name }) => name);
}
