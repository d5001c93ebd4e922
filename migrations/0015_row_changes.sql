ALTER TABLE "millrace"."pruned" ADD COLUMN "position" bigint;--> statement-breakpoint
CREATE INDEX "events_row_key" ON "millrace"."events" USING btree ("type",("data" ->> 'key'),"seq") WHERE type like 'millrace.row.%';--> statement-breakpoint
CREATE INDEX "events_row_changes" ON "millrace"."events" USING btree ("type","seq") WHERE type like 'millrace.row.%';