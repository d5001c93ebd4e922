import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Reporter } from '../../../../scripts/progress.ts';
import { runsOf } from '../../../../test/support/node/part.ts';
import { type ImportDeps, type ImportOptions, runImport } from '../../import/run.ts';
import { summarise } from '../../import/summary.ts';
import { csvOf, type Endpoint, HEADER_II, problemOf, startEndpoint, xlsxOf } from './import-fixtures.ts';

const LINES = 400;
const BATCH_LINES = 20;

let directory: string;
let endpoint: Endpoint;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-import-'));
  endpoint = await startEndpoint();
  file = join(directory, 'retail.csv');
  await writeFile(file, csvOf(LINES));
});
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** A clock that only waiting moves, so that minutes of outage pass at once. */
function testDeps(): ImportDeps & { waits: number[]; notices: string[]; advance: (ms: number) => void } {
  let now = Date.UTC(2026, 0, 15, 10, 30, 20);
  const waits: number[] = [];
  const notices: string[] = [];
  const reporter: Reporter = { progress: () => {}, notice: (text) => notices.push(text), finish: () => {} };
  const advance = (ms: number): void => {
    now += ms;
  };
  const sleep = async (ms: number): Promise<void> => {
    waits.push(ms);
    advance(ms);
  };
  return {
    fetch,
    now: () => now,
    random: () => 0.5,
    sleep,
    reporter,
    waits,
    notices,
    advance,
    confirm: null,
    database: () => null,
  };
}

function run(
  options: Partial<ImportOptions> = {},
  deps: ImportDeps = testDeps(),
  signal = new AbortController().signal,
) {
  return runImport(
    {
      file,
      url: endpoint.url,
      key: 'secret',
      batchLines: BATCH_LINES,
      limit: null,
      asIfToday: false,
      restart: false,
      madeUp: 'ask',
      stateDirectory: join(directory, 'states'),
      ...options,
    },
    deps,
    signal,
  );
}

/** One line of every 50 in `csvOf` has a negative quantity. */
const NEGATIVE = LINES / 50;

describe('a whole file', () => {
  test('every line is sent once, as a batch of CloudEvents, and summed up', async () => {
    const result = await run();
    expect(result.kind).toBe('complete');
    expect(endpoint.stored.size).toBe(LINES);
    expect(endpoint.received).toHaveLength(LINES / BATCH_LINES);
    expect(endpoint.received[0]).toMatchObject({
      url: '/v1/events',
      headers: {
        ...{ 'content-type': 'application/cloudevents-batch+json', authorization: 'Bearer secret' },
        prefer: 'wait',
        'millrace-lane': 'bulk',
      },
    });
    expect(result.state).toMatchObject({
      acknowledged: LINES,
      stored: LINES - NEGATIVE,
      quarantined: { quantity_not_positive: NEGATIVE },
    });
    expect(summarise(result.state)).toMatch(/lines +400\n.*quantity_not_positive +8$/s);
  });

  test('a second run sends nothing, and --restart sends everything again', async () => {
    await run();
    expect((await run()).kind).toBe('already_complete');
    expect(endpoint.received).toHaveLength(LINES / BATCH_LINES);
    expect((await run({ restart: true })).state.known).toBe(LINES);
    expect(endpoint.stored.size).toBe(LINES);
  });

  test('a run continues after the limit of an earlier run', async () => {
    // Line 129 is the first of two equal lines: the next run has to know that it was sent.
    const limited = await run({ limit: 129 });
    expect(limited).toMatchObject({ kind: 'limit_reached', state: { acknowledged: 129 } });
    expect(endpoint.stored.size).toBe(129);
    expect(await run()).toMatchObject({ kind: 'complete', linesOfRun: LINES - 129 });
    expect(endpoint.stored.size).toBe(LINES);
    expect(endpoint.duplicates()).toBe(0);
  });

  test('a body stays below a megabyte', async () => {
    const long = 'x'.repeat(20_000);
    const rows = Array.from({ length: 120 }, (_, n) => `1,${n},${long},1,2009-12-01 07:45:00,1,,EIRE`);
    await writeFile(file, [HEADER_II, ...rows].join('\n'));
    expect((await run({ batchLines: 1000 })).kind).toBe('complete');
    expect(endpoint.stored.size).toBe(120);
    expect(Math.max(...endpoint.received.map(({ bytes }) => bytes))).toBeLessThanOrEqual(1_000_000);
    expect(endpoint.received).toHaveLength(3);
  });

  test('two sheets that repeat a line give one event', async () => {
    const row = ['1', '2', 'cup', 1, 40_518.5, 1, 5, 'EIRE'];
    const sheet = [HEADER_II.split(','), row, row];
    file = join(directory, 'retail.xlsx');
    await writeFile(file, xlsxOf([sheet, sheet]));
    expect((await run()).state).toMatchObject({ acknowledged: 4, stored: 2, known: 2 });
  });
});

describe('back-pressure', () => {
  test.each([
    ['the worker', (status: number) => problemOf(status, 'queue_unavailable', 'Busy.')],
    ['a proxy before it', () => 'Busy.'],
  ])('Retry-After of %s is honoured, nothing is lost and nothing doubled', async (_, bodyOf) => {
    const deps = testDeps();
    endpoint.intercept = (count, response) => {
      if (count % 5 !== 3) return false;
      const status = count % 2 === 0 ? 503 : 429;
      response.writeHead(status, { 'retry-after': '7' }).end(bodyOf(status));
      return true;
    };
    const result = await run({}, deps);
    expect(result.kind).toBe('complete');
    expect(result.state.retries).toBeGreaterThan(0);
    expect(endpoint.stored.size).toBe(LINES);
    expect(endpoint.duplicates()).toBe(0);
    expect(Math.max(...deps.waits)).toBeGreaterThanOrEqual(7000);
    expect(deps.notices[0]).toMatch(/(503|429) .*Busy\.+ Retry \d+ in 7\.\d s\.$/);
  });

  test('a connection that dies before or after the batch was stored costs nothing', async () => {
    endpoint.intercept = (count, response, store) => {
      if (count % 4 === 0) store();
      if (count % 2 === 0) response.destroy();
      return count % 2 === 0;
    };
    const result = await run();
    expect(result.kind).toBe('complete');
    expect(endpoint.stored.size).toBe(LINES);
    const { stored, known, unclear, quarantined } = result.state;
    expect(stored + unclear + (quarantined['quantity_not_positive'] ?? 0)).toBe(LINES);
    expect(unclear).toBeGreaterThan(0);
    expect(known).toBe(0);
  });

  test('an outage of ten minutes ends the run, and the next run continues', async () => {
    endpoint.intercept = (count, response) => {
      if (count > 5) response.writeHead(503).end();
      return count > 5;
    };
    const deps = testDeps();
    const began = deps.now();
    const result = await run({}, deps);
    expect(result).toMatchObject({ kind: 'failed' });
    expect(result.message).toMatch(/accepted nothing for \d+ s\. Last answer: .* answered 503/);
    expect(deps.now() - began).toBeGreaterThan(9 * 60_000);
    expect(deps.now() - began).toBeLessThan(12 * 60_000);
    endpoint.intercept = () => false;
    expect((await run()).kind).toBe('complete');
    expect(endpoint.stored.size).toBe(LINES);
    expect(endpoint.duplicates()).toBe(0);
  });

  test('does not give up a server that answers now and then', async () => {
    endpoint.intercept = (count, response) => {
      if (count % 3 === 0) response.writeHead(503, { 'retry-after': '120' }).end();
      return count % 3 === 0;
    };
    const deps = testDeps();
    const began = deps.now();
    expect((await run({}, deps)).kind).toBe('complete');
    expect(deps.now() - began).toBeGreaterThan(10 * 60_000);
    expect(endpoint.stored.size).toBe(LINES);
  });

  test('a refusal stops the import and shows the problem', async () => {
    endpoint.intercept = (count, response) => {
      if (count !== 4) return false;
      const problem = problemOf(403, 'insufficient_scope', 'The key may not write.');
      response.writeHead(403, { 'content-type': 'application/problem+json' }).end(problem);
      return true;
    };
    const result = await run();
    expect(result).toMatchObject({ kind: 'failed' });
    expect(result.message).toBe(
      'The server does not take the batch: 403 insufficient_scope: The key may not write.',
    );
    expect(result.state.acknowledged % BATCH_LINES).toBe(0);
    expect(endpoint.received.length).toBeLessThanOrEqual(8);
    endpoint.intercept = () => false;
    expect((await run()).kind).toBe('complete');
    expect(endpoint.stored.size).toBe(LINES);
  });

  test.each([
    ['a redirect', 302, '', /redirects, which this client does not follow/],
    ['another program', 202, '<html>', /does not report on the events: <html>/],
    [
      'a receipt that does not add up',
      202,
      '{"accepted":1,"duplicates":0,"quarantined":0,"verdicts":[]}',
      /1 of 20/,
    ],
  ])('does not treat %s as success', async (_, status, body, message) => {
    endpoint.intercept = (_, response) => {
      response.writeHead(status, { location: '/elsewhere' }).end(body);
      return true;
    };
    const result = await run();
    expect(result).toMatchObject({ kind: 'failed', state: { acknowledged: 0 } });
    expect(result.message).toMatch(message);
  });

  test('sends at most four batches at a time', async () => {
    let open = 0;
    let most = 0;
    const counting: typeof fetch = async (...request) => {
      open += 1;
      most = Math.max(most, open);
      await pause(5);
      return fetch(...request).finally(() => {
        open -= 1;
      });
    };
    await run({}, { ...testDeps(), fetch: counting });
    expect(most).toBe(4);
  });
});

describe('interrupt and resume', () => {
  test('nothing is lost wherever the run is interrupted', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: LINES / BATCH_LINES }),
        fc.nat(39),
        async (at, batchLines) => {
          await rm(join(directory, 'states'), { recursive: true, force: true });
          endpoint.stored.clear();
          const before = endpoint.received.length;
          const controller = new AbortController();
          endpoint.intercept = () => {
            if (endpoint.received.length - before === at) controller.abort();
            return false;
          };
          const first = await run({}, testDeps(), controller.signal);
          const second = await run({ batchLines: batchLines + 1 });
          expect(first.kind).toMatch(/interrupted|complete/);
          expect(second.kind).toMatch(/^(already_)?complete$/);
          expect(endpoint.stored.size).toBe(LINES);
          const { stored, known, quarantined } = second.state;
          // An interrupt waits for the batches under way, so none of them is sent twice.
          expect([stored, known, quarantined['quantity_not_positive']]).toEqual([
            LINES - NEGATIVE,
            0,
            NEGATIVE,
          ]);
        },
      ),
      { numRuns: runsOf(15) },
    );
  });

  test('a damaged state is reported, not guessed at', async () => {
    const { statePath } = await run({ limit: 40 });
    await writeFile(statePath, (await readFile(statePath, 'utf8')).slice(0, 60));
    await expect(run()).rejects.toThrow(/damaged; --restart/);
    expect((await run({ restart: true })).kind).toBe('complete');
    expect(await readdir(join(directory, 'states'))).toHaveLength(1);
  });

  test('accepts a saved state if the database holds its lines, whatever its address', async () => {
    await run({ limit: 200 });
    await using proxy = await startEndpoint(endpoint.stored);
    expect(await run({ url: proxy.url })).toMatchObject({ kind: 'complete', linesOfRun: LINES - 200 });
    expect(endpoint.duplicates() + proxy.duplicates()).toBe(0);
  });

  test.each([
    ['complete', null],
    ['half-way', 200],
  ])('rejects the state of a %s import for another database at the same address', async (_, limit) => {
    await run({ limit });
    // The database of an earlier moment: it lacks the newest lines.
    const deps = testDeps();
    for (const id of [...endpoint.stored.keys()].slice(100)) endpoint.stored.delete(id);
    const again = await run({}, deps);
    expect(again.kind).toBe('complete');
    expect(endpoint.stored.size).toBe(LINES);
    expect(deps.notices.join()).toContain('The import begins at the first line.');
  });
});

describe('as if today', () => {
  test('the last line happens today, and a resumed run keeps the shift', async () => {
    const deps = testDeps();
    await run({ asIfToday: true, limit: 50 }, deps);
    deps.advance(3 * 86_400_000);
    const { state } = await run({}, deps);
    const times = [...endpoint.stored.values()].map(({ time }) => time).toSorted();
    expect(times[0]).toBe('2026-01-15T08:00:00.000Z');
    expect(times.at(-1)).toBe('2026-01-15T08:39:00.000Z');
    expect(state.shiftMs).toBe(Date.UTC(2026, 0, 15) - Date.UTC(2009, 11, 1));
  });

  test('the ids are those of the file', async () => {
    await run();
    await using other = await startEndpoint();
    await run({ url: other.url, asIfToday: true });
    expect([...other.stored.keys()]).toEqual([...endpoint.stored.keys()]);
  });

  test.each([
    ['half-way', 50, false],
    ['after the whole file', null, false],
    ['after the whole file, whose state is gone', null, true],
  ])('it is refused %s', async (_, limit, restart) => {
    await run({ limit });
    await expect(run({ asIfToday: true, restart })).rejects.toThrow(
      /--as-if-today is refused: the database holds .*lines of this file at the file's own times/,
    );
    expect(endpoint.duplicates()).toBe(0);
  });

  test('a run without the state moves the lines as those in the database', async () => {
    const deps = testDeps();
    await run({ asIfToday: true, limit: 200 }, deps);
    deps.advance(3 * 86_400_000);
    const { state } = await run({ restart: true, asIfToday: true }, deps);
    expect(state).toMatchObject({ shiftMs: Date.UTC(2026, 0, 15) - Date.UTC(2009, 11, 1), known: 200 });
    expect(endpoint.stored.size).toBe(LINES);
  });

  test('refuses a file that continues one with moved dates, because its lines would be in the future', async () => {
    await run({ asIfToday: true });
    const rows = csvOf(LINES).trimEnd();
    file = join(directory, 'next.csv');
    await writeFile(file, `${rows}\n999999,20001,CUP,1,2010-12-01 08:00:00,1.25,13085,EIRE\n`);
    await expect(run()).rejects.toThrow(/its last line would happen on 2027-01-15, which is in the future/);
  });
});

test('does not acknowledge lines that only a queue has accepted', async () => {
  let questions = 0;
  const deps = testDeps();
  const queueing: typeof fetch = async (input, init) => {
    const url = String(input);
    if (/%2Fimports/.test(url) && endpoint.received.length > 0) {
      questions += 1;
      // The database is away, then has not stored the lines yet, then has.
      if (questions === 1) return new Response('{}', { status: 503 });
      if (questions === 2) return Response.json({ status: 'queued' });
    }
    const response = await fetch(input, init);
    if (init?.method !== 'POST' || endpoint.received.length > 1) return response;
    return new Response(response.body, { status: 202 });
  };
  const { kind, state } = await run({ batchLines: LINES }, { ...deps, fetch: queueing });
  expect(kind).toBe('complete');
  expect(endpoint.received).toHaveLength(2);
  expect(questions).toBeGreaterThanOrEqual(3);
  expect(state).toMatchObject({ stored: 0, known: 0, unclear: LINES });
  expect(deps.notices[0]).toMatch(/^The database does not answer, and the server has queued the lines/);
});
