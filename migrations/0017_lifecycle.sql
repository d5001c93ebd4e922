CREATE TABLE "millrace"."removals" (
	"store" text NOT NULL,
	"id" text NOT NULL,
	"detail" jsonb NOT NULL,
	"claimed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"removed_at" timestamp with time zone,
	CONSTRAINT "removals_store_id_pk" PRIMARY KEY("store","id")
);
--> statement-breakpoint
CREATE TABLE "millrace"."storage_walk" (
	"one" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"leased_until" timestamp with time zone NOT NULL,
	"cursor" text,
	"begun_at" timestamp with time zone,
	"counts" jsonb NOT NULL,
	"counted" jsonb,
	"ended_at" timestamp with time zone,
	"walks" bigint DEFAULT 0 NOT NULL
);
--> statement-breakpoint
ALTER TABLE "millrace"."pruned" ADD COLUMN "cleaned_at" timestamp with time zone;