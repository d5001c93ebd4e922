/** The way of one event: answers before it, the event itself, what it invalidated, and the same answers after it. */
import { isAddressOf, type RowRoute } from '../live-data.ts';
import { memberOf, otherRows, outcomeOf } from './answers.ts';
import { type Feed, openFeed } from './feed.ts';
import { type Answer, ask } from './http.ts';

/** An event to follow. */
export interface Run {
  readonly key: string;
  readonly type: string;
  readonly id: string;
  readonly data: unknown;
  readonly addresses: readonly string[];
  /** Paths of the models that the event changes. */
  readonly feeds: readonly string[];
}

/** An answer before and after the event. */
export interface Compared {
  readonly before: Answer;
  readonly after: Answer;
}

/** Where the way is shown. */
export interface Shown {
  /** A step that has been reached, with details such as tags. */
  readonly step: (title: string, text: string, details?: readonly string[]) => void;
  /** Called again when an answer that was a hit has become fresh. */
  readonly comparison: (answers: readonly Compared[]) => void;
}

const SOURCE = '/page';
/** A stored event is relayed at once, and otherwise by a sweep that runs every few seconds. */
const STATUS_MS = 20_000;
const FEED_MS = 10_000;
/** A model's answer is invalidated once the features of its entity are updated, after the event is relayed. */
const FEATURES_MS = 5_000;
const POLL_MS = 300;

/** @throws Error with a message for the reader, where the way ends early. */
export async function follow(run: Run, rows: readonly RowRoute[], shown: Shown): Promise<void> {
  const before = await readBefore(run, rows);
  shown.step('Read', `${before.length} answers, which are in the cache now.`);
  const feed = await openFeed(run.type, run.key).catch((error: unknown) => String(error));
  try {
    const token = await send(run, shown);
    const status = await settled(run);
    showStored(status, shown);
    const time = memberOf(status, 'time');
    if (typeof feed === 'string') shown.step('Live feed', `Not available: ${feed}.`);
    else await showChange(feed, time, shown);
    const invalidated = memberOf(memberOf(status, 'invalidated'), 'token');
    const atLeast = token ?? (typeof invalidated === 'string' ? invalidated : undefined);
    const read = () =>
      readAll(
        run,
        before.map(({ address }) => address),
        atLeast,
      );
    const isFed = (address: string) => run.feeds.some((path) => isAddressOf(path, address));
    await compare(before, read, isFed, shown);
  } finally {
    if (typeof feed !== 'string') feed.close();
  }
}

/** Reads each address twice: the first read fills the cache, the second shows that it did. */
async function readBefore(run: Run, rows: readonly RowRoute[]): Promise<Answer[]> {
  const first = await readAll(run, run.addresses);
  const refused = first.find(({ status }) => status === 401);
  if (refused !== undefined) throw new Error(`The key is not right: ${refused.address} answered 401.`);
  const others = otherRows(rows, first);
  await readAll(run, others);
  return await readAll(run, [...run.addresses, ...others]);
}

async function readAll({ key }: Run, addresses: readonly string[], token?: string): Promise<Answer[]> {
  const headers: Record<string, string> = token === undefined ? {} : { 'millrace-token': token };
  return await Promise.all(addresses.map((address) => ask(address, key, { headers })));
}

/** @returns the token of the answer, if the event was stored before it was answered. */
async function send({ key, type, id, data }: Run, { step }: Shown): Promise<string | undefined> {
  const startedAt = performance.now();
  const answer = await ask('/v1/events', key, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents+json', prefer: 'wait' },
    body: JSON.stringify({ specversion: '1.0', id, source: SOURCE, type, data }),
  });
  const tookMs = Math.round(performance.now() - startedAt);
  if (answer.status >= 400) throw new Error(problemOf(answer));
  const how = answer.status === 201 ? 'stored before the answer, as Prefer: wait asks' : 'taken by the queue';
  step('Accepted', `${answer.status} after ${tookMs} ms: ${how}. Its id is ${id}.`);
  return answer.token;
}

/** The status of the event once it is stored and relayed. */
async function settled({ key, id }: Run): Promise<unknown> {
  const address = `/v1/events/${encodeURIComponent(SOURCE)}/${encodeURIComponent(id)}`;
  const deadline = performance.now() + STATUS_MS;
  for (;;) {
    const { status, json } = await ask(address, key);
    const state = status === 200 ? memberOf(json, 'status') : 'queued';
    if (state === 'quarantined' || state === 'dead')
      throw new Error(`The event is ${String(state)}: ${String(memberOf(json, 'detail'))}`);
    const isRelayed = typeof memberOf(memberOf(json, 'invalidated'), 'at') === 'string';
    if (state === 'stored' && isRelayed) return json;
    if (performance.now() > deadline)
      throw new Error(`The event is ${String(state)}, and was not relayed within ${STATUS_MS / 1_000} s.`);
    await pause(POLL_MS);
  }
}

function showStored(status: unknown, { step }: Shown): void {
  const invalidated = memberOf(status, 'invalidated');
  const tags = memberOf(invalidated, 'tags');
  step('Stored', `At ${String(memberOf(status, 'recordedAt'))}, with its rows, in one transaction.`);
  const at = `At ${String(memberOf(invalidated, 'at'))}, these tags at the tag clock:`;
  step('Invalidated', at, Array.isArray(tags) ? tags.map(String) : []);
}

async function showChange(feed: Feed, time: unknown, { step }: Shown): Promise<void> {
  const at = Date.parse(String(time));
  const change = await feed.find((candidate) => Date.parse(candidate.time ?? '') === at, FEED_MS);
  if (change === undefined) step('Live feed', `Nothing of it within ${FEED_MS / 1_000} s.`);
  else step('Live feed', `Change ${change.change}, which concerns:`, change.entities);
}

/** Reads again until the answers of the models that the event feeds are fresh, or the time for them is over. */
async function compare(
  before: readonly Answer[],
  read: () => Promise<Answer[]>,
  isFed: (address: string) => boolean,
  { step, comparison }: Shown,
): Promise<void> {
  const deadline = performance.now() + FEATURES_MS;
  const compared = new Map<string, Compared>();
  const isSettled = ({ before: earlier, after }: Compared) => outcomeOf(earlier, after) !== 'hit';
  for (;;) {
    const after = await read();
    for (const [index, answer] of after.entries()) {
      const earlier = before[index];
      const known = compared.get(answer.address);
      // What has become fresh is a hit at the next read, and stays shown as it was.
      if (earlier !== undefined && (known === undefined || !isSettled(known)))
        compared.set(answer.address, { before: earlier, after: answer });
    }
    const answers = [...compared.values()];
    comparison(answers);
    const waiting = answers.filter((answer) => isFed(answer.after.address) && !isSettled(answer));
    if (waiting.length === 0 || performance.now() > deadline) break;
    await pause(POLL_MS);
  }
  const fresh = [...compared.values()].filter(({ before: b, after }) => outcomeOf(b, after) === 'fresh');
  step('Read again', `${fresh.length} of ${compared.size} answers are fresh.`);
}

/** A problem document (RFC 9457) in one sentence. */
export function problemOf({ status, json, text }: Answer): string {
  const [title, detail] = [memberOf(json, 'title'), memberOf(json, 'detail')];
  return title === undefined
    ? `${status}: ${text.slice(0, 200)}`
    : `${status}: ${String(title)}. ${String(detail)}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
