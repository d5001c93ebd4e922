/** Which pages of other origins may use the API from a browser (the CORS protocol, WHATWG Fetch §3.3). */
export interface CorsPolicy {
  /**
   * Origins such as `https://app.example.com`, whose pages may use every route with a key. Pages of any origin may read
   * what is public.
   */
  readonly origins: readonly string[];
}

/** Only what is public can be read from pages of other origins. */
export const PUBLIC_READS_ONLY: CorsPolicy = { origins: [] };

/** The most origins: each request of a page is compared with all. */
export const ORIGINS_MAX = 100;

/** Whether a text is an origin as browsers send it: scheme, host, and a port that is not the scheme's own. */
export function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
}
