import { neon, neonConfig } from '@neondatabase/serverless';
import type { Query } from '../../src/define/project.ts';

/** Single statements on a development database, through its HTTP endpoint. */
export function queryOf(database: { connectionString: string; endpoint: string | undefined }): Query {
  const { connectionString, endpoint } = database;
  if (endpoint !== undefined) neonConfig.fetchEndpoint = () => endpoint;
  const client = neon(connectionString);
  return (text, params = []) => client.query(text, [...params]);
}
