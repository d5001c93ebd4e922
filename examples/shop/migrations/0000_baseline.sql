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
CREATE INDEX "customers_by_country" ON "customers" USING btree ("country","id" collate "C");--> statement-breakpoint
CREATE INDEX "product_views_customer" ON "product_views" USING btree ("customer_id","occurred_at");--> statement-breakpoint
CREATE INDEX "products_by_sku" ON "products" USING btree ("sku" collate "C");--> statement-breakpoint
CREATE INDEX "products_by_price" ON "products" USING btree ("unit_price","sku" collate "C");--> statement-breakpoint
CREATE INDEX "purchases_customer" ON "purchases" USING btree ("customer_id","occurred_at","event_seq");--> statement-breakpoint
CREATE INDEX "purchases_sku" ON "purchases" USING btree ("sku","occurred_at");--> statement-breakpoint
CREATE INDEX "returns_customer" ON "returns" USING btree ("customer_id","occurred_at");--> statement-breakpoint
CREATE INDEX "returns_sku" ON "returns" USING btree ("sku","occurred_at");