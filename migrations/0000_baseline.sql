CREATE SCHEMA IF NOT EXISTS "millrace";
--> statement-breakpoint
CREATE TABLE "millrace"."audit_log" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"action" text NOT NULL,
	"target" text NOT NULL,
	"detail" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "millrace"."events" (
	"seq" bigserial PRIMARY KEY NOT NULL,
	"source" text NOT NULL,
	"id" text NOT NULL,
	"type" text NOT NULL,
	"sent_as" text,
	"subject" text,
	"data" jsonb NOT NULL,
	"occurred_at" timestamp with time zone NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	"batch" uuid NOT NULL
);
--> statement-breakpoint
CREATE TABLE "millrace"."lineage_events" (
	"seq" bigserial PRIMARY KEY NOT NULL,
	"run_id" uuid NOT NULL,
	"is_end" boolean NOT NULL,
	"tx" bigint DEFAULT (pg_current_xact_id()::text)::bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "millrace"."lineage_predictions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"model" text NOT NULL,
	"version" text NOT NULL,
	"entity" text,
	"key" text,
	"features" jsonb,
	"items" integer NOT NULL,
	"source" text NOT NULL,
	"degraded" text
);
--> statement-breakpoint
CREATE TABLE "millrace"."lineage_runs" (
	"id" uuid PRIMARY KEY NOT NULL,
	"job" text NOT NULL,
	"subject" text NOT NULL,
	"version" text NOT NULL,
	"state" text NOT NULL,
	"started_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone,
	"window_from" timestamp with time zone,
	"window_to" timestamp with time zone,
	"due_at" timestamp with time zone NOT NULL,
	"first_seq" bigint,
	"last_seq" bigint,
	"counts" jsonb NOT NULL,
	"detail" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "millrace"."outbox" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"event_seq" bigint,
	"tags" text[] NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"relayed_at" timestamp with time zone,
	"relayed_epoch" text,
	"relayed_seq" bigint
);
--> statement-breakpoint
CREATE TABLE "millrace"."pruned" (
	"target" text PRIMARY KEY NOT NULL,
	"rows" bigint NOT NULL,
	"until" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "millrace"."quality_pending" (
	"batch" uuid PRIMARY KEY NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "millrace"."quarantine" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"fingerprint" text NOT NULL,
	"source" text,
	"event_id" text,
	"type" text,
	"reason" text NOT NULL,
	"pointer" text NOT NULL,
	"detail" text NOT NULL,
	"raw" jsonb NOT NULL,
	"received_at" timestamp with time zone DEFAULT now() NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"resolved_at" timestamp with time zone,
	"batch" uuid
);
--> statement-breakpoint
CREATE TABLE "millrace"."replays" (
	"id" text PRIMARY KEY NOT NULL,
	"run" uuid NOT NULL,
	"state" text NOT NULL,
	"cursor" bigint NOT NULL,
	"last_seq" bigint NOT NULL,
	"total" bigint NOT NULL,
	"replayed" bigint NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	"outcome" jsonb
);
--> statement-breakpoint
ALTER TABLE "millrace"."lineage_events" ADD CONSTRAINT "lineage_events_run_id_lineage_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "millrace"."lineage_runs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "events_source_id" ON "millrace"."events" USING btree ("source","id");--> statement-breakpoint
CREATE INDEX "events_batch_seq" ON "millrace"."events" USING btree ("batch","seq");--> statement-breakpoint
CREATE INDEX "events_occurred_at" ON "millrace"."events" USING btree ("occurred_at");--> statement-breakpoint
CREATE INDEX "events_recorded_at" ON "millrace"."events" USING btree ("recorded_at");--> statement-breakpoint
CREATE UNIQUE INDEX "lineage_events_run" ON "millrace"."lineage_events" USING btree ("run_id","is_end");--> statement-breakpoint
CREATE INDEX "lineage_events_tx" ON "millrace"."lineage_events" USING btree ("tx","seq");--> statement-breakpoint
CREATE INDEX "lineage_predictions_key" ON "millrace"."lineage_predictions" USING btree ("entity","key","at");--> statement-breakpoint
CREATE INDEX "lineage_predictions_version" ON "millrace"."lineage_predictions" USING btree ("version","at");--> statement-breakpoint
CREATE INDEX "lineage_predictions_at" ON "millrace"."lineage_predictions" USING btree ("at");--> statement-breakpoint
CREATE INDEX "lineage_runs_job" ON "millrace"."lineage_runs" USING btree ("job","subject","started_at");--> statement-breakpoint
CREATE INDEX "lineage_runs_due" ON "millrace"."lineage_runs" USING btree ("due_at") WHERE "millrace"."lineage_runs"."ended_at" is null;--> statement-breakpoint
CREATE INDEX "lineage_runs_ended" ON "millrace"."lineage_runs" USING btree ("ended_at");--> statement-breakpoint
CREATE INDEX "lineage_runs_version" ON "millrace"."lineage_runs" USING btree ("version");--> statement-breakpoint
CREATE INDEX "outbox_event" ON "millrace"."outbox" USING btree ("event_seq") WHERE "millrace"."outbox"."event_seq" is not null;--> statement-breakpoint
CREATE INDEX "outbox_pending" ON "millrace"."outbox" USING btree ("id") WHERE "millrace"."outbox"."relayed_at" is null;--> statement-breakpoint
CREATE INDEX "outbox_relayed" ON "millrace"."outbox" USING btree ("relayed_epoch","relayed_seq") WHERE "millrace"."outbox"."relayed_epoch" is not null;--> statement-breakpoint
CREATE INDEX "quarantine_batch_id" ON "millrace"."quarantine" USING btree ("batch","id") WHERE "millrace"."quarantine"."batch" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "quarantine_fingerprint" ON "millrace"."quarantine" USING btree ("fingerprint");--> statement-breakpoint
CREATE INDEX "quarantine_reason" ON "millrace"."quarantine" USING btree ("reason");--> statement-breakpoint
CREATE INDEX "quarantine_event" ON "millrace"."quarantine" USING btree ("source","event_id");--> statement-breakpoint
CREATE INDEX "quarantine_received_at" ON "millrace"."quarantine" USING btree ("received_at");