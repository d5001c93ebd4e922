CREATE TABLE "dock_faults" (
	"event_seq" bigint PRIMARY KEY NOT NULL,
	"station_id" integer NOT NULL,
	"dock" integer NOT NULL,
	"fault" text NOT NULL,
	"occurred_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "docks" (
	"station_id" integer NOT NULL,
	"number" integer NOT NULL,
	"state" text NOT NULL,
	CONSTRAINT "docks_station_id_number_pk" PRIMARY KEY("station_id","number")
);
--> statement-breakpoint
CREATE TABLE "movements" (
	"event_seq" bigint NOT NULL,
	"event_line" integer NOT NULL,
	"station_id" integer NOT NULL,
	"dock" integer NOT NULL,
	"bike" text NOT NULL,
	"kind" text NOT NULL,
	"occurred_at" timestamp with time zone NOT NULL,
	CONSTRAINT "movements_event_seq_event_line_pk" PRIMARY KEY("event_seq","event_line")
);
--> statement-breakpoint
CREATE TABLE "riders" (
	"id" uuid PRIMARY KEY NOT NULL,
	"plan" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "rides" (
	"event_seq" bigint PRIMARY KEY NOT NULL,
	"rider_id" uuid NOT NULL,
	"bike" text NOT NULL,
	"start_station" integer NOT NULL,
	"start_dock" integer NOT NULL,
	"end_station" integer NOT NULL,
	"end_dock" integer NOT NULL,
	"minutes" integer NOT NULL,
	"occurred_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "station_reports" (
	"event_seq" bigint PRIMARY KEY NOT NULL,
	"station_id" integer NOT NULL,
	"bikes" integer NOT NULL,
	"docks_free" integer NOT NULL,
	"occurred_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "stations" (
	"id" integer PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"district" text NOT NULL,
	"capacity" integer NOT NULL,
	"bikes_available" integer DEFAULT 0 NOT NULL,
	"docks_free" integer DEFAULT 0 NOT NULL,
	"reported_at" timestamp with time zone,
	"rides_begun" integer DEFAULT 0 NOT NULL,
	"rides_ended" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE INDEX "dock_faults_dock" ON "dock_faults" USING btree ("station_id","dock","occurred_at");--> statement-breakpoint
CREATE INDEX "movements_dock" ON "movements" USING btree ("station_id","dock","occurred_at");--> statement-breakpoint
CREATE INDEX "rides_rider" ON "rides" USING btree ("rider_id","occurred_at");--> statement-breakpoint
CREATE INDEX "rides_start" ON "rides" USING btree ("start_station","occurred_at");--> statement-breakpoint
CREATE INDEX "rides_end" ON "rides" USING btree ("end_station","occurred_at");--> statement-breakpoint
CREATE INDEX "station_reports_station" ON "station_reports" USING btree ("station_id","occurred_at" desc);--> statement-breakpoint
CREATE INDEX "stations_by_bikes" ON "stations" USING btree ("district","bikes_available","id");