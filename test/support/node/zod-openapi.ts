/**
 * Loaded before any schema. Zod gives `.openapi()` only to schemas that are made after this import, and files that share
 * a process share the modules whose schemas an earlier file made.
 */
import '@hono/zod-openapi';
