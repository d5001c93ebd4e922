DROP INDEX "millrace"."outbox_pending";--> statement-breakpoint
ALTER TABLE "millrace"."outbox" ADD COLUMN "is_bulk" boolean DEFAULT coalesce(current_setting('millrace.bulk', true), '') = 'on' NOT NULL;--> statement-breakpoint
CREATE INDEX "outbox_pending" ON "millrace"."outbox" USING btree ("is_bulk","id") WHERE "millrace"."outbox"."relayed_at" is null;