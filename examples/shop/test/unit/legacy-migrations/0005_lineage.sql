CREATE TABLE "lineage_events" (
	"seq" bigserial PRIMARY KEY NOT NULL,
	"run_id" uuid NOT NULL,
	"is_end" boolean NOT NULL,
	"tx" bigint DEFAULT (pg_current_xact_id()::text)::bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "lineage_predictions" (
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
CREATE TABLE "lineage_runs" (
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
ALTER TABLE "lineage_events" ADD CONSTRAINT "lineage_events_run_id_lineage_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."lineage_runs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "lineage_events_run" ON "lineage_events" USING btree ("run_id","is_end");--> statement-breakpoint
CREATE INDEX "lineage_events_tx" ON "lineage_events" USING btree ("tx","seq");--> statement-breakpoint
CREATE INDEX "lineage_predictions_key" ON "lineage_predictions" USING btree ("entity","key","at");--> statement-breakpoint
CREATE INDEX "lineage_predictions_version" ON "lineage_predictions" USING btree ("version","at");--> statement-breakpoint
CREATE INDEX "lineage_predictions_at" ON "lineage_predictions" USING btree ("at");--> statement-breakpoint
CREATE INDEX "lineage_runs_job" ON "lineage_runs" USING btree ("job","subject","started_at");--> statement-breakpoint
CREATE INDEX "lineage_runs_due" ON "lineage_runs" USING btree ("due_at") WHERE "lineage_runs"."ended_at" is null;--> statement-breakpoint
CREATE INDEX "lineage_runs_ended" ON "lineage_runs" USING btree ("ended_at");--> statement-breakpoint
CREATE INDEX "lineage_runs_version" ON "lineage_runs" USING btree ("version");--> statement-breakpoint
CREATE INDEX "events_recorded_at" ON "events" USING btree ("recorded_at");