import * as z from 'zod';

/** How long a new version may take until it answers everywhere, in milliseconds. */
const ANSWERS_MS_MAX = 90_000;
const PAUSE_MS = 1_000;
const REQUEST_MS = 5_000;

const Live = z.object({ release: z.string().optional() });

export interface VerifyPorts {
  readonly fetch: (url: string, init: { signal: AbortSignal }) => Promise<Response>;
  readonly sleep: (ms: number) => Promise<void>;
  readonly now: () => number;
}

/**
 * Waits until a version answers, and all that it needs answers it.
 *
 * @returns undefined once it is so; otherwise what was wrong last.
 */
export async function faultOf(
  { url, version }: { url: string; version: string },
  { fetch, sleep, now }: VerifyPorts,
): Promise<string | undefined> {
  const endMs = now() + ANSWERS_MS_MAX;
  for (;;) {
    const fault = await oneFault(url, version, fetch);
    if (fault === undefined || now() >= endMs) return fault;
    await sleep(PAUSE_MS);
  }
}

async function oneFault(
  url: string,
  version: string,
  fetch: VerifyPorts['fetch'],
): Promise<string | undefined> {
  const ask = async (path: string) => {
    const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(REQUEST_MS) });
    return { status: response.status, body: await response.text() };
  };
  try {
    const live = await ask('/health/live');
    if (live.status !== 200) return `/health/live answers ${live.status}`;
    const { release } = Live.parse(JSON.parse(live.body));
    if (release !== version) return `/health/live is answered by the version ${release ?? 'of before'}`;
    const ready = await ask('/health/ready');
    return ready.status === 200
      ? undefined
      : `/health/ready answers ${ready.status} ${ready.body.slice(0, 300)}`;
  } catch (error) {
    return `${url} does not answer: ${error instanceof Error ? error.message : String(error)}`;
  }
}
