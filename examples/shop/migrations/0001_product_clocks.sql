ALTER TABLE "products" ADD COLUMN "described_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "products" ADD COLUMN "priced_at" timestamp with time zone;
