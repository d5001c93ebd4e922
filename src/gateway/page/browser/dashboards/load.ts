/** Reads what a dashboard shows. Each part is read by itself: one that fails leaves the others. */
import { problemOf } from '../follow.ts';
import { ask } from '../http.ts';
import { type Answers, QUESTIONS, type Question, type QuestionName } from './panels.ts';
import { type Counts, countsOf } from './series.ts';
import { REPORTS, type Tab } from './tabs.ts';
import type { Reports } from './tiles.ts';

export const RANGES = { '1h': 'hour', '24h': 'day', '30d': '30 days' } as const;
export type Range = keyof typeof RANGES;

export interface Loaded {
  readonly answers: Answers;
  /** What is wrong with the counters; undefined if they answered. */
  readonly failure: string | undefined;
  readonly reports: Reports;
  /** The answers of the lists by their ids, or what is wrong with each. */
  readonly lists: ReadonlyMap<string, Answered>;
}

type Answered = { readonly json: unknown } | { readonly failure: string };

/** Answers whose status is their message, and whose body is the report all the same. */
const REPORTING = new Set([REPORTS.ready]);

export function addressOf(path: string, { metrics, by }: Question, range?: Range): string {
  const query = new URLSearchParams();
  for (const metric of metrics) query.append('metric', metric);
  for (const label of by) query.append('by', label);
  if (range !== undefined) query.append('range', range);
  return `${path}?${query}`;
}

async function read(address: string, key: string): Promise<unknown> {
  const answer = await ask(address, key);
  const isReport = answer.status === 503 && [...REPORTING].some((own) => own === address);
  if (answer.status !== 200 && !isReport) throw new Error(problemOf(answer));
  return answer.json;
}

const NOTHING: Counts = { stepMinutes: 1, firstMinute: 0, steps: 0, series: [] };

/** @throws Error if the key is refused. */
export async function load(tab: Tab, range: Range, key: string): Promise<Loaded> {
  let failure: string | undefined;
  const counted = async (name: QuestionName): Promise<Counts> => {
    try {
      return countsOf(await read(addressOf('/v1/admin/series', QUESTIONS[name], range), key));
    } catch (error) {
      failure = messageOf(error);
      return NOTHING;
    }
  };
  const [requests, durations, answers, peers, models] = await Promise.all([
    counted('requests'),
    counted('durations'),
    counted('answers'),
    counted('peers'),
    counted('models'),
  ]);
  const [reports, lists] = await Promise.all([
    Promise.all(
      Object.entries(REPORTS).map(async ([name, address]) => {
        const json = await read(address, key).catch(() => undefined);
        return [name, json] as const;
      }),
    ),
    Promise.all(
      tab.lists.map(async ({ id, address }): Promise<readonly [string, Answered]> => {
        try {
          return [id, { json: await read(address, key) }];
        } catch (error) {
          return [id, { failure: messageOf(error) }];
        }
      }),
    ),
  ]);
  return {
    answers: { requests, durations, answers, peers, models },
    failure,
    reports: Object.fromEntries(reports.filter(([, json]) => json !== undefined)),
    lists: new Map(lists),
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
