export const DEFAULT_URL = 'http://127.0.0.1:8787';

/**
 * What to do after an import: train on what it stored, and look at what the model says to customers of the file.
 *
 * @param key how a shell finds the API key.
 */
export function nextSteps(url: string, key: string, customers: readonly string[]): string {
  const root = url.replace(/\/$/, '');
  const at = root === DEFAULT_URL ? '' : ` --url ${root}`;
  const paths = customers.map((id) => `/v1/customers/${encodeURIComponent(id)}/recommendations`);
  return [
    'next:',
    `  npm run train -- ranker --publish${at}`,
    ...paths.map((path) => `  curl -H "Authorization: Bearer ${key}" "${root}${path}"`),
  ].join('\n');
}
