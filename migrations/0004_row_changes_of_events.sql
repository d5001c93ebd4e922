ALTER TABLE "millrace"."outbox" ADD COLUMN "batch" uuid;--> statement-breakpoint
CREATE INDEX "outbox_batch" ON "millrace"."outbox" USING btree ("batch") WHERE "millrace"."outbox"."batch" is not null;