import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
import type { FeatureRow } from '../../define/feature-value.ts';
import type { ColumnType, DatasetColumn } from './columns.ts';
import type { Example } from './examples.ts';
import { ROW_GROUP_ROWS } from './limits.ts';

/** A row with the features of its entity and of its item. */
export interface JoinedExample extends Example {
  readonly features: FeatureRow;
  /** Empty without an item. */
  readonly itemFeatures: FeatureRow;
}

const TYPES: Readonly<Record<ColumnType, Pick<SchemaElement, 'type' | 'converted_type'>>> = {
  timestamp: { type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' },
  double: { type: 'DOUBLE' },
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  // As a text: readers differ in what they make of the type JSON.
  json: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
};

/**
 * Rows as a Parquet file. The same rows and columns give the same bytes.
 *
 * @param rows in the order of the file.
 */
export function parquetOf(
  columns: readonly DatasetColumn[],
  rows: readonly JoinedExample[],
): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(1 << 16);
  const file = new ParquetWriter({ writer, schema: schemaOf(columns), createdBy: 'millrace' });
  for (let start = 0; start < rows.length; start += ROW_GROUP_ROWS) {
    const group = rows.slice(start, start + ROW_GROUP_ROWS);
    // One group at a time, so that only its values are in memory as columns.
    file.write({
      columnData: columns.map((column) => ({
        name: column.name,
        data: group.map((row) => cellOf(column, row)),
      })),
      rowGroupSize: ROW_GROUP_ROWS,
    });
  }
  file.finish();
  return new Uint8Array(writer.getBuffer());
}

function schemaOf(columns: readonly DatasetColumn[]): SchemaElement[] {
  return [
    { name: 'schema', num_children: columns.length },
    ...columns.map(({ name, type, reference }): SchemaElement => {
      const repetition_type = reference === undefined ? 'REQUIRED' : 'OPTIONAL';
      return { name, repetition_type, ...TYPES[type] };
    }),
  ];
}

function cellOf(column: DatasetColumn, row: JoinedExample): unknown {
  switch (column.role) {
    case 'time':
      return new Date(row.at);
    case 'key':
      return row.key;
    case 'item':
      return row.item ?? '';
    case 'label':
      return column.type === 'string' ? String(row.label) : Number(row.label);
    case 'weight':
      return row.weight;
    case 'feature':
      return featureValue(column, row.features, row.at);
    case 'item-feature':
      return featureValue(column, row.itemFeatures, row.at);
  }
}

/** What the model would be given, before a default takes the place of a missing value. */
function featureValue({ reference, type }: DatasetColumn, row: FeatureRow, at: number): unknown {
  if (reference === undefined) return null;
  const value = reference.read(row[reference.readName]?.value, at);
  if (value === null || value === undefined) return null;
  if (type === 'json') return JSON.stringify(value);
  return typeof value === 'number' ? value : null;
}
