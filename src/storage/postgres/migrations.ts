/**
 * The migrations of Millrace's own tables, oldest first, as `migrations/meta/_journal.json` has them: drizzle's migrator
 * records each by its moment. A test compares the two.
 */
export const MIGRATIONS: readonly { readonly tag: string; readonly when: number }[] = [
  { tag: '0000_baseline', when: 1_795_826_257_314 },
  { tag: '0001_removed_rows', when: 1_795_829_095_124 },
  { tag: '0002_event_extensions', when: 1_795_841_171_197 },
  { tag: '0003_bulk_lane', when: 1_795_845_227_350 },
  { tag: '0004_row_changes_of_events', when: 1_795_856_485_221 },
  { tag: '0005_epochs_of_the_clock', when: 1_795_860_082_490 },
  { tag: '0006_outbox_vacuum', when: 1_795_872_805_758 },
  { tag: '0007_lineage_tallies', when: 1_795_886_202_364 },
  { tag: '0008_api_keys', when: 1_795_888_213_229 },
  { tag: '0009_audit_chain', when: 1_795_896_169_658 },
  { tag: '0010_key_quotas', when: 1_795_899_332_517 },
  { tag: '0011_feature_versions', when: 1_795_922_085_430 },
  { tag: '0012_model_registry', when: 1_795_926_803_980 },
  { tag: '0013_model_rollouts', when: 1_795_979_787_737 },
  { tag: '0014_erasures', when: 1_795_993_383_442 },
  { tag: '0015_row_changes', when: 1_796_004_768_908 },
  { tag: '0016_outbox_traces', when: 1_796_018_857_779 },
  { tag: '0017_lifecycle', when: 1_796_083_717_136 },
];
