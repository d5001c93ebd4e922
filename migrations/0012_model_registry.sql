CREATE TABLE "millrace"."model_aliases" (
	"model" text NOT NULL,
	"alias" text NOT NULL,
	"revision" integer NOT NULL,
	"version" text,
	"reason" text NOT NULL,
	"changed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"changed_by" text NOT NULL,
	CONSTRAINT "model_aliases_model_alias_revision_pk" PRIMARY KEY("model","alias","revision")
);
--> statement-breakpoint
CREATE TABLE "millrace"."model_versions" (
	"model" text NOT NULL,
	"version" text NOT NULL,
	"manifest" text NOT NULL,
	"card" text NOT NULL,
	"measured" jsonb NOT NULL,
	"registered_at" timestamp with time zone DEFAULT now() NOT NULL,
	"registered_by" text NOT NULL,
	"retired_at" timestamp with time zone,
	CONSTRAINT "model_versions_model_version_pk" PRIMARY KEY("model","version")
);
--> statement-breakpoint
ALTER TABLE "millrace"."model_aliases" ADD CONSTRAINT "model_aliases_model_version_model_versions_model_version_fk" FOREIGN KEY ("model","version") REFERENCES "millrace"."model_versions"("model","version") ON DELETE no action ON UPDATE no action;