CREATE TABLE "millrace"."feature_versions" (
	"entity" text NOT NULL,
	"feature" text NOT NULL,
	"digest" text NOT NULL,
	"state" text NOT NULL,
	"run" uuid,
	"since" timestamp with time zone DEFAULT now() NOT NULL,
	"retired_at" timestamp with time zone,
	CONSTRAINT "feature_versions_entity_feature_digest_pk" PRIMARY KEY("entity","feature","digest")
);
