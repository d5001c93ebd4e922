/** How the server of an import is reached, for commands to try. */
export interface Reach {
  /** The address of the worker, without a slash at its end. */
  readonly url: string;
  /** How a shell finds the API key. */
  readonly shellKey: string;
  /** The options by which this import found the server; none where it took the running stack. */
  readonly options: readonly string[];
}

/** What to do after an import: train on what it stored, and look at what the model says to customers of the file. */
export function nextSteps({ url, shellKey, options }: Reach, customers: readonly string[]): string {
  const paths = customers.map((id) => `/v1/customers/${encodeURIComponent(id)}/recommendations`);
  return [
    'next:',
    `  ${['npm run train -- ranker --publish', ...options].join(' ')}`,
    ...paths.map((path) => `  curl -H "Authorization: Bearer ${shellKey}" "${url}${path}"`),
  ].join('\n');
}
