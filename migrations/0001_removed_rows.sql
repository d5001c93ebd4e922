CREATE TABLE "millrace"."removed_rows" (
	"entity" text NOT NULL,
	"key" text NOT NULL,
	"removed_at" timestamp with time zone NOT NULL,
	CONSTRAINT "removed_rows_entity_key_pk" PRIMARY KEY("entity","key")
);
