ALTER TABLE "millrace"."api_keys" ADD COLUMN "claims" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "millrace"."audit_log" ADD COLUMN "principal" text DEFAULT 'unknown' NOT NULL;--> statement-breakpoint
ALTER TABLE "millrace"."audit_log" ADD COLUMN "outcome" text DEFAULT 'done' NOT NULL;--> statement-breakpoint
ALTER TABLE "millrace"."audit_log" ADD COLUMN "begun" bigint;--> statement-breakpoint
ALTER TABLE "millrace"."audit_log" ADD COLUMN "before" jsonb;--> statement-breakpoint
ALTER TABLE "millrace"."audit_log" ADD COLUMN "after" jsonb;--> statement-breakpoint
ALTER TABLE "millrace"."audit_log" ADD COLUMN "previous_hash" text;--> statement-breakpoint
ALTER TABLE "millrace"."audit_log" ADD COLUMN "hash" text;--> statement-breakpoint
CREATE INDEX "audit_log_principal" ON "millrace"."audit_log" USING btree ("principal","id");--> statement-breakpoint
CREATE INDEX "audit_log_action" ON "millrace"."audit_log" USING btree ("action","id");--> statement-breakpoint
CREATE INDEX "audit_log_at" ON "millrace"."audit_log" USING btree ("at");--> statement-breakpoint
-- The canonical content of an entry. jsonb has one text for equal values, so the text does not depend on the writer.
CREATE FUNCTION millrace.audit_content(entry millrace.audit_log) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_array(
    entry.id, to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), entry.principal, entry.action,
    entry.target, entry.outcome, entry.begun, entry.detail, entry.before, entry.after)::text
$$;--> statement-breakpoint
CREATE FUNCTION millrace.audit_hash(entry millrace.audit_log) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT encode(sha256(convert_to(entry.previous_hash || millrace.audit_content(entry), 'UTF8')), 'hex')
$$;--> statement-breakpoint
-- The entries from before the chain.
DO $$
DECLARE
  entry millrace.audit_log;
  newest text := '';
BEGIN
  FOR entry IN SELECT * FROM millrace.audit_log ORDER BY id LOOP
    entry.principal := CASE WHEN entry.detail ? 'by' THEN 'key:' || (entry.detail ->> 'by') ELSE 'unknown' END;
    entry.previous_hash := newest;
    newest := millrace.audit_hash(entry);
    UPDATE millrace.audit_log SET principal = entry.principal, previous_hash = entry.previous_hash, hash = newest
    WHERE id = entry.id;
  END LOOP;
END $$;--> statement-breakpoint
ALTER TABLE "millrace"."audit_log" ALTER COLUMN "previous_hash" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "millrace"."audit_log" ALTER COLUMN "hash" SET NOT NULL;--> statement-breakpoint
-- Writers wait for each other until they commit, so each reads the newest entry. A transaction that still sees an older
-- one (REPEATABLE READ) takes a number that is taken, and fails: the chain cannot fork.
CREATE FUNCTION millrace.audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  newest record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('millrace.audit_log', 0));
  SELECT id, hash INTO newest FROM millrace.audit_log ORDER BY id DESC LIMIT 1;
  NEW.id := coalesce(newest.id, 0) + 1;
  NEW.at := clock_timestamp();
  NEW.previous_hash := coalesce(newest.hash, '');
  NEW.hash := millrace.audit_hash(NEW);
  RETURN NEW;
END $$;--> statement-breakpoint
CREATE FUNCTION millrace.audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'millrace.audit_log is append-only: % is refused.', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;--> statement-breakpoint
CREATE TRIGGER audit_chain BEFORE INSERT ON millrace.audit_log
  FOR EACH ROW EXECUTE FUNCTION millrace.audit_chain();--> statement-breakpoint
CREATE TRIGGER audit_refuse BEFORE UPDATE OR DELETE ON millrace.audit_log
  FOR EACH ROW EXECUTE FUNCTION millrace.audit_refuse();--> statement-breakpoint
CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON millrace.audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION millrace.audit_refuse();
