import { readFileSync } from 'node:fs';

/** The consumers of wrangler.toml, by queue. */
export function queueConsumers(): Record<string, Record<string, number>> {
  const text = readFileSync('wrangler.toml', 'utf8');
  const consumers = text.matchAll(/^\[\[queues\.consumers\]\]\nqueue = "([\w-]+)"\n((?:\w+ = .+\n)+)/gm);
  const option = (body: string, name: string) =>
    Number(new RegExp(`^${name} = (\\d+)$`, 'm').exec(body)?.[1]);
  return Object.fromEntries(
    [...consumers].map(([, queue = '', body = '']) => [
      queue,
      {
        maxBatchSize: option(body, 'max_batch_size'),
        maxBatchTimeout: option(body, 'max_batch_timeout'),
        maxRetries: option(body, 'max_retries'),
      },
    ]),
  );
}
