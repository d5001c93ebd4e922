import { keepsNothingOn } from '../cache/tiers/colo.ts';
import { log } from '../platform/logger.ts';

/** Warns of a host on which the data centre's cache keeps nothing. The platform itself reports no error there. */
export function noticeHost(url: string): void {
  const { hostname } = new URL(url);
  if (!keepsNothingOn(hostname)) return;
  const message =
    "The data centre's cache keeps nothing on workers.dev, so each isolate fills its memory from the database, or from KV if the policy of the view names it. Deploy with a route or a custom domain: npm run deploy -- --domain api.example.com";
  log('warn', message, { 'event.action': 'start' });
}
