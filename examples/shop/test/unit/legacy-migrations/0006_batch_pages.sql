DROP INDEX "events_batch";--> statement-breakpoint
DROP INDEX "quarantine_batch";--> statement-breakpoint
CREATE INDEX "events_batch_seq" ON "events" USING btree ("batch","seq");--> statement-breakpoint
CREATE INDEX "quarantine_batch_id" ON "quarantine" USING btree ("batch","id") WHERE "quarantine"."batch" is not null;