CREATE TABLE "millrace"."lineage_tallies" (
	"run_id" uuid NOT NULL,
	"shard" smallint NOT NULL,
	"first_seq" bigint,
	"last_seq" bigint,
	"counts" jsonb NOT NULL,
	CONSTRAINT "lineage_tallies_run_id_shard_pk" PRIMARY KEY("run_id","shard")
);
