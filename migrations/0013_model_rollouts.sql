CREATE TABLE "millrace"."model_rollouts" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"model" text NOT NULL,
	"rollout" uuid NOT NULL,
	"stage" text NOT NULL,
	"step" integer NOT NULL,
	"share" double precision NOT NULL,
	"version" text NOT NULL,
	"base" text NOT NULL,
	"reason" text NOT NULL,
	"evidence" jsonb NOT NULL,
	"changed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"changed_by" text NOT NULL
);
--> statement-breakpoint
ALTER TABLE "millrace"."model_rollouts" ADD CONSTRAINT "model_rollouts_model_version_model_versions_model_version_fk" FOREIGN KEY ("model","version") REFERENCES "millrace"."model_versions"("model","version") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "model_rollouts_model" ON "millrace"."model_rollouts" USING btree ("model","id");