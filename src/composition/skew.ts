import type { ModelDefinition } from '../define/model.ts';
import type { SkewRoutePorts } from '../gateway/routes/admin-skew.ts';
import { recordsIn, type ServedRecord } from '../inference/feedback/record.ts';
import { type SkewFinding, type SkewPorts, sampledRecords, skewOf } from '../inference/feedback/skew.ts';
import { parseManifest } from '../inference/registry.ts';
import { asCurrent, withEarlierVersions } from '../pipeline/contracts/versions.ts';
import { systemNow } from '../platform/clock.ts';
import { log } from '../platform/logger.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { eventsOfKey } from '../storage/postgres/key-history.ts';
import { readVersion } from '../storage/postgres/model-versions.ts';
import { r2ServedLog, servedBefore } from '../storage/served-files.ts';
import type { BoundIsolate } from './isolate.ts';

/** Answers of each model that the cron computes again each minute: a statement for each, and a run of the model. */
const CHECKS_OF_CRON = 3;
/** How far back the files of the log are looked for, in milliseconds, and the most of the newest that are read. */
const LOOKED_BACK_MS = 3_600_000;
const FILES_LISTED = 1_000;
const FILES_READ = 4;

/** Computes logged answers of the last hour again, at most `limit`. It throws any error of a peer. */
export function skewChecks(
  bound: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
): SkewRoutePorts['check'] {
  return async (definition, limit) =>
    await checked(bound, keepAlive, definition, await newestRecords(bound), limit);
}

/** The work of each minute: some answers of each model that logs them. */
export async function checkSkew(
  bound: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
): Promise<void> {
  const logging = bound.isolate.catalog.models.filter(({ feedback }) => feedback !== undefined);
  if (logging.length === 0) return;
  const records = await newestRecords(bound);
  for (const definition of logging) await checked(bound, keepAlive, definition, records, CHECKS_OF_CRON);
}

async function checked(
  bound: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
  definition: ModelDefinition,
  records: readonly ServedRecord[],
  limit: number,
): Promise<SkewFinding[]> {
  const ports = skewPorts(bound, keepAlive);
  const findings: SkewFinding[] = [];
  for (const record of sampledRecords(records, definition.name, limit)) {
    const finding = await skewOf(record, definition, ports);
    findings.push(finding);
    bound.observation.skewChecked(definition.name, finding.verdict);
    if (finding.verdict !== 'mismatch') continue;
    const { id, version, why } = finding;
    const fields = {
      'event.action': 'skew',
      'millrace.model.name': definition.name,
      'millrace.model.version': version,
      'event.reason': why,
      'millrace.prediction.id': id,
    };
    log('error', 'A served prediction differs from what its history gives.', fields);
  }
  return findings;
}

function skewPorts(
  { db, isolate, registry }: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
): SkewPorts {
  const { features, histories, eventTypes } = isolate.catalog;
  return {
    features,
    events: async (own, key, limit) => {
      const [entity = ''] = own.map((of) => of.entity.name);
      const types = withEarlierVersions(eventTypes, [...new Set(own.map(({ eventType }) => eventType))]);
      const events = await guarded(() => eventsOfKey(db, { histories, entity, key, types }, limit));
      return events?.map((event) => ({ ...asCurrent(eventTypes, event), recordedAt: event.recordedAt }));
    },
    load: async (definition, version) => {
      const found = await guarded(() => readVersion(db, definition.name, version));
      if (found === undefined) return undefined;
      const manifest = parseManifest(definition.name, JSON.parse(found.manifest));
      return await isolate.models.get(definition, manifest, registry, keepAlive);
    },
  };
}

/** The records of the newest files of the log that no isolate may still write, and whose events are stored. */
async function newestRecords({ env, config }: BoundIsolate): Promise<ServedRecord[]> {
  const { list, read } = r2ServedLog(env.MODELS);
  const now = systemNow();
  const settled = servedBefore(now - config.feedback.settleMs);
  const { keys } = await list(servedBefore(now - LOOKED_BACK_MS), FILES_LISTED);
  const newest = keys.filter((key) => key < settled).slice(-FILES_READ);
  const texts = await Promise.all(newest.map(read));
  return texts.flatMap((text) => recordsIn(text ?? ''));
}
