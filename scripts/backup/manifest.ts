import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { sha256 } from './digest.ts';
import { ContinuityError } from './failure.ts';

const FILE = 'manifest.json';
/** The version of the form of a backup. A later Millrace that writes another form raises it. */
const FORMAT = 1;

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Count = z.int().nonnegative();
/** A file of the backup cannot be anywhere but in its folder. */
const FileName = z.string().regex(/^[\w.-]+(\/[\w.-]+)?$/);

const Store = z.object({
  /** `schema.table`. */
  name: z.string(),
  file: FileName,
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  /** Columns that do not count in the digest. */
  unsettled: z.array(z.string()),
  rows: Count,
  bytes: Count,
  /** Of the file. */
  sha256: Sha256,
  /** Of the rows, whatever their order. */
  digest: Sha256,
});

const Content = z.object({
  kind: z.literal('millrace-backup'),
  format: z.literal(FORMAT),
  id: z.uuid(),
  /** The moment of the snapshot by the database's clock, RFC 3339. */
  takenAt: z.iso.datetime(),
  /** The newest event and outbox row that it has, and how many changes were not relayed then. */
  point: z.object({ eventSeq: Count, outboxId: Count, pending: Count }),
  migrations: z.object({ millrace: z.array(z.string()), catalog: z.array(z.string()) }),
  /** How far the numbers of each table were given out. */
  sequences: z.array(z.object({ store: z.string(), column: z.string(), last: z.string().regex(/^\d+$/) })),
  stores: z.array(Store),
  /** The sum of the digests of the stores: equal for two deployments with the same rows. */
  stored: Sha256,
  /** The artifacts of models. */
  artifacts: z.array(z.object({ sha256: Sha256, bytes: Count })),
  /** The digest of the features; null if it changed while the snapshot was made. */
  features: z.object({ digest: z.string(), cells: Count }).nullable(),
  /** Features that need events which retention had deleted: a restore has less of them. */
  lacking: z.array(z.string()),
  /** Phases that were not on. */
  phases: z.array(z.object({ phase: z.string(), state: z.string() })),
});

export type StoreOfBackup = z.output<typeof Store>;
export type Manifest = z.output<typeof Content>;

/** One digest of all stores. */
export function digestOfStores(stores: readonly Pick<StoreOfBackup, 'name' | 'rows' | 'digest'>[]): string {
  const lines = stores.map(({ name, rows, digest }) => `${name} ${rows} ${digest}\n`).sort();
  return sha256(lines.join(''));
}

/** Writes the manifest, which makes the backup whole. */
export function writeManifest(folder: string, manifest: Manifest): void {
  const text = JSON.stringify(manifest);
  const draft = join(folder, `${FILE}.draft`);
  writeFileSync(draft, `${JSON.stringify({ ...manifest, sha256: sha256(text) }, null, 2)}\n`, {
    mode: 0o600,
  });
  renameSync(draft, join(folder, FILE));
}

export function hasManifest(folder: string): boolean {
  return existsSync(join(folder, FILE));
}

/**
 * The manifest of a backup. It is read before anything else and says whether the rest can be understood.
 *
 * @throws ContinuityError `backup_incomplete`, `backup_foreign`, `backup_newer` or `backup_damaged`.
 */
export function readManifest(folder: string): Manifest {
  if (!hasManifest(folder))
    throw new ContinuityError(
      'backup_incomplete',
      `${folder} has no ${FILE}. If an export was broken off there, the same command goes on with it.`,
    );
  const { sha256: said, ...rest } = parsed(readFileSync(join(folder, FILE), 'utf8'), folder);
  if (rest['kind'] !== 'millrace-backup')
    throw new ContinuityError('backup_foreign', `${join(folder, FILE)} is of no backup of Millrace.`);
  if (typeof rest['format'] === 'number' && rest['format'] > FORMAT)
    throw new ContinuityError(
      'backup_newer',
      `The backup has the format ${rest['format']}; this release reads ${FORMAT}. Restore it with a later release.`,
    );
  if (said !== sha256(JSON.stringify(rest))) throw damaged(FILE, 'it was changed after it was written');
  const content = Content.safeParse(rest);
  if (content.success) return content.data;
  throw damaged(FILE, `${content.error.issues[0]?.path.join('.') ?? ''} has another form`);
}

function parsed(text: string, folder: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  } catch {
    throw damaged(join(folder, FILE), 'it is no JSON object');
  }
}

export function damaged(file: string, why: string): ContinuityError {
  return new ContinuityError('backup_damaged', `${file}: ${why}. Nothing was restored. Use another copy.`);
}
