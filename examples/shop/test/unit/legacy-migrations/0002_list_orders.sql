CREATE INDEX "customers_by_country" ON "customers" USING btree ("country","id" collate "C");--> statement-breakpoint
CREATE INDEX "products_by_sku" ON "products" USING btree ("sku" collate "C");--> statement-breakpoint
CREATE INDEX "products_by_price" ON "products" USING btree ("unit_price","sku" collate "C");