-- A relayed change leaves a dead entry in "outbox_pending", which every fill passes over until a vacuum removes it. By
-- default that is when a fifth of the table is dead, and a vacuum may leave the index as it is.
ALTER TABLE "millrace"."outbox" SET (
	autovacuum_vacuum_scale_factor = 0,
	autovacuum_vacuum_threshold = 5000,
	vacuum_index_cleanup = on
);
