/**
 * Loaded before each unit test file: it adds `openapi` to zod's schemas. A schema that was made before has no such method.
 * The unit tests share modules, so a file that makes the schemas of a model would break a later file that builds the app.
 */
import '@hono/zod-openapi';
