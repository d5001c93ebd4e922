CREATE TABLE "events" (
	"seq" bigserial PRIMARY KEY NOT NULL,
	"source" text NOT NULL,
	"id" text NOT NULL,
	"type" text NOT NULL,
	"subject" text,
	"data" jsonb NOT NULL,
	"occurred_at" timestamp with time zone NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	"batch" uuid NOT NULL
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"event_seq" bigint,
	"tags" text[] NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"relayed_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "quarantine" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"fingerprint" text NOT NULL,
	"source" text,
	"event_id" text,
	"type" text,
	"reason" text NOT NULL,
	"pointer" text NOT NULL,
	"detail" text NOT NULL,
	"raw" jsonb NOT NULL,
	"received_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "customers" (
	"id" text PRIMARY KEY NOT NULL,
	"country" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "product_views" (
	"event_seq" bigint PRIMARY KEY NOT NULL,
	"sku" text NOT NULL,
	"customer_id" text,
	"occurred_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "products" (
	"sku" text PRIMARY KEY NOT NULL,
	"description" text,
	"unit_price" numeric(12, 4) NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "purchases" (
	"event_seq" bigint PRIMARY KEY NOT NULL,
	"invoice" text NOT NULL,
	"sku" text NOT NULL,
	"customer_id" text,
	"quantity" integer NOT NULL,
	"unit_price" numeric(12, 4) NOT NULL,
	"country" text NOT NULL,
	"occurred_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "returns" (
	"event_seq" bigint PRIMARY KEY NOT NULL,
	"invoice" text NOT NULL,
	"sku" text NOT NULL,
	"customer_id" text,
	"quantity" integer NOT NULL,
	"unit_price" numeric(12, 4) NOT NULL,
	"country" text NOT NULL,
	"occurred_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX "events_source_id" ON "events" USING btree ("source","id");--> statement-breakpoint
CREATE INDEX "events_batch" ON "events" USING btree ("batch");--> statement-breakpoint
CREATE INDEX "events_occurred_at" ON "events" USING btree ("occurred_at");--> statement-breakpoint
CREATE INDEX "outbox_pending" ON "outbox" USING btree ("id") WHERE "outbox"."relayed_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "quarantine_fingerprint" ON "quarantine" USING btree ("fingerprint");--> statement-breakpoint
CREATE INDEX "quarantine_reason" ON "quarantine" USING btree ("reason");--> statement-breakpoint
CREATE INDEX "product_views_customer" ON "product_views" USING btree ("customer_id","occurred_at");--> statement-breakpoint
CREATE INDEX "purchases_customer" ON "purchases" USING btree ("customer_id","occurred_at","event_seq");--> statement-breakpoint
CREATE INDEX "purchases_sku" ON "purchases" USING btree ("sku","occurred_at");--> statement-breakpoint
CREATE INDEX "returns_customer" ON "returns" USING btree ("customer_id","occurred_at");--> statement-breakpoint
CREATE INDEX "returns_sku" ON "returns" USING btree ("sku","occurred_at");