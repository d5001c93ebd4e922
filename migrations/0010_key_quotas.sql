ALTER TABLE "millrace"."api_keys" ADD COLUMN "quota_day" bigint;--> statement-breakpoint
ALTER TABLE "millrace"."api_keys" ADD COLUMN "quota_month" bigint;