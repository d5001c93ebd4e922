/** Customers that are named: enough to see that their recommendations differ. */
const SHOWN_CUSTOMERS = 3;

/** What to do after an import: train on what it stored, and look at what the model says to customers of the file. */
export function nextSteps(url: string, key: string, customers: readonly string[]): string {
  const authorization = `-H "Authorization: Bearer ${key}"`;
  const root = url.replace(/\/$/, '');
  const at = root === DEFAULT_URL ? '' : ` --url ${root}`;
  return [
    'next:',
    `  npm run train -- ranker --publish${at}`,
    ...customers
      .slice(0, SHOWN_CUSTOMERS)
      .map(
        (id) => `  curl ${authorization} "${root}/v1/customers/${encodeURIComponent(id)}/recommendations"`,
      ),
  ].join('\n');
}

export const DEFAULT_URL = 'http://127.0.0.1:8787';
