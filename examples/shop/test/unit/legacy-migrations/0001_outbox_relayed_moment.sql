ALTER TABLE "outbox" ADD COLUMN "relayed_epoch" text;--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "relayed_seq" bigint;--> statement-breakpoint
CREATE INDEX "outbox_relayed" ON "outbox" USING btree ("relayed_epoch","relayed_seq") WHERE "outbox"."relayed_epoch" is not null;