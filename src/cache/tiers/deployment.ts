import { sha256HexNow } from '../../platform/digest.ts';

/**
 * Names the entries of this deployment in caches that others can reach: the deployments of a zone share its Cache API.
 * Deployments differ in the database, its user or the bootstrap secret. The password of the database does not count, so a
 * new one leaves the cache as it is.
 */
export function deploymentOf(databaseUrl: string, apiKeySha256: string): string {
  const url = URL.parse(databaseUrl);
  const database = url === null ? databaseUrl : [url.username, url.host, url.pathname];
  return sha256HexNow(JSON.stringify(['millrace deployment 2', database, apiKeySha256])).slice(0, 16);
}
