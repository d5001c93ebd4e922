CREATE TABLE "millrace"."epochs" (
	"epoch" text PRIMARY KEY NOT NULL,
	"first_relayed_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
INSERT INTO "millrace"."epochs" ("epoch")
	SELECT DISTINCT "relayed_epoch" FROM "millrace"."outbox" WHERE "relayed_epoch" IS NOT NULL;
