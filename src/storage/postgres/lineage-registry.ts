import { type SQL, sql } from 'drizzle-orm';
import * as millrace from './schema.ts';

/** How the registry changes a model. */
export type RegistryAction =
  | 'register'
  | 'publish'
  | 'promote'
  | 'rollback'
  | 'set'
  | 'clear'
  | 'retire'
  | 'rollout';

/** A change of the registry, as SQL. */
interface RegistryChange {
  readonly model: string;
  readonly action: RegistryAction;
  /** Type `text`, null for none: the version that was registered or withdrawn, or that the alias names now. */
  readonly version: SQL;
  /** Type `jsonb`: the facts of the change beside the action. */
  readonly facts: SQL;
  /** A relation that has one row if the change takes place. */
  readonly from: SQL;
}

/**
 * The lineage run of a change of the registry, which begins and ends with the change: two members of the `with` clause of
 * the statement that makes the change. So there is a run for each change, and none for a change that was rolled back.
 */
export function registryRun({ model, action, version, facts, from }: RegistryChange): SQL {
  return sql`
    ran as (
      insert into ${millrace.lineageRuns}
        (id, job, subject, version, state, started_at, ended_at, due_at, counts, detail)
      select gen_random_uuid(), 'registry', ${model}, coalesce(${version}, ''), 'COMPLETE', now(), now(), now(), '{}',
        jsonb_build_object('action', ${action}::text) || ${facts}
      from ${from}
      returning id
    ), told as (
      insert into ${millrace.lineageEvents} (run_id, is_end)
      select ran.id, ends.is_end from ran cross join (values (false), (true)) as ends (is_end) order by ends.is_end
    )`;
}
