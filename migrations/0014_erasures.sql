CREATE TABLE "millrace"."erased_events" (
	"digest" text PRIMARY KEY NOT NULL,
	"erased_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "millrace"."erasure_salt" (
	"one" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"salt" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "millrace"."erasures" (
	"id" text NOT NULL,
	"mode" text NOT NULL,
	"run" uuid NOT NULL,
	"state" text NOT NULL,
	"cursor" bigint NOT NULL,
	"last_seq" bigint NOT NULL,
	"examined" bigint NOT NULL,
	"found" jsonb NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	CONSTRAINT "erasures_id_mode_pk" PRIMARY KEY("id","mode")
);

--> statement-breakpoint
INSERT INTO "millrace"."erasure_salt" ("salt") VALUES (gen_random_uuid()::text || gen_random_uuid()::text);
