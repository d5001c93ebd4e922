CREATE TABLE "quality_pending" (
	"batch" uuid PRIMARY KEY NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "quarantine" ADD COLUMN "batch" uuid;--> statement-breakpoint
CREATE INDEX "quarantine_batch" ON "quarantine" USING btree ("batch") WHERE "quarantine"."batch" is not null;