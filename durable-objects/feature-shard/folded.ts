import { addNumber, bitmapOf, blockOf, storedBlock } from '../../src/features/folded-numbers.ts';

/** Records the numbers of these events as folded into a generation, and returns the events whose number is new. */
export function takeFresh<Event extends { readonly seq: number }>(
  sql: SqlStorage,
  generation: number,
  events: readonly Event[],
): Event[] {
  const blocks = Map.groupBy(events, ({ seq }) => blockOf(seq));
  return [...blocks].flatMap(([block, ofBlock]) => {
    const bitmap = readBlock(sql, generation, block);
    const fresh = ofBlock.filter(({ seq }) => addNumber(bitmap, seq));
    if (fresh.length > 0) writeBlock(sql, generation, block, bitmap);
    return fresh;
  });
}

function readBlock(sql: SqlStorage, generation: number, block: number): Uint8Array {
  const [row] = sql
    .exec<{ numbers: ArrayBuffer }>(
      'select numbers from folded where generation = ? and block = ?',
      generation,
      block,
    )
    .toArray();
  return bitmapOf(row === undefined ? undefined : new Uint8Array(row.numbers));
}

function writeBlock(sql: SqlStorage, generation: number, block: number, bitmap: Uint8Array): void {
  sql.exec(
    `insert into folded (generation, block, numbers) values (?, ?, ?)
     on conflict (generation, block) do update set numbers = excluded.numbers`,
    generation,
    block,
    storedBlock(bitmap),
  );
}
