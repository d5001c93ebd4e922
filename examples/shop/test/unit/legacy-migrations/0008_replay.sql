CREATE TABLE "pruned" (
	"target" text PRIMARY KEY NOT NULL,
	"rows" bigint NOT NULL,
	"until" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "replays" (
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
CREATE INDEX "outbox_event" ON "outbox" USING btree ("event_seq") WHERE "outbox"."event_seq" is not null;--> statement-breakpoint
CREATE INDEX "quarantine_received_at" ON "quarantine" USING btree ("received_at");