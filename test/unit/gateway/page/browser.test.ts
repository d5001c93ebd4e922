import { describe, expect, it } from 'vitest';
import { EXAMPLES } from '../../../../src/gateway/contract/examples.ts';
import { WRITTEN_EXAMPLES } from '../../../../src/gateway/contract/written-examples.ts';
import {
  differences,
  memberOf,
  otherRows,
  outcomeOf,
  rankedItems,
} from '../../../../src/gateway/page/browser/answers.ts';
import { type Change, changeOf } from '../../../../src/gateway/page/browser/feed.ts';
import type { Answer } from '../../../../src/gateway/page/browser/http.ts';
import { LEARNING_PARTS } from '../../../../src/gateway/page/browser/learning.ts';
import { eventParser } from '../../../../src/gateway/page/browser/server-events.ts';
import { isAddressOf } from '../../../../src/gateway/page/live-data.ts';

function answer(address: string, json: unknown, cacheStatus = 'millrace; hit; ttl=9; detail=memory'): Answer {
  return { address, status: 200, cacheStatus, token: undefined, text: JSON.stringify(json), json };
}

describe('what became of an answer', () => {
  const before = answer('/v1/a', { units: 1 });

  it('is a hit if the same answer was served from the cache', () => {
    expect(outcomeOf(before, answer('/v1/a', { units: 1 }, 'millrace; hit; ttl=3'))).toBe('hit');
  });

  it('is fresh if it was read anew, or refilled before it was asked for', () => {
    expect(outcomeOf(before, answer('/v1/a', { units: 2 }, 'millrace; fwd=stale; stored'))).toBe('fresh');
    expect(outcomeOf(before, answer('/v1/a', { units: 2 }))).toBe('fresh');
  });

  it('is refused for an error, and not for a thing that does not exist', () => {
    expect(outcomeOf(before, { ...before, status: 503 })).toBe('refused');
    const missing = (requestId: string) => ({ ...answer('/v1/a', { requestId }), status: 404 });
    expect(outcomeOf(missing('1'), missing('2'))).toBe('hit');
  });
});

it('lists the leaves that differ', () => {
  const before = { sold: { units: 1, last: null }, tags: ['a'] };
  const after = { sold: { units: 2, last: null }, tags: ['a', 'b'] };
  expect(differences(before, after, 9)).toEqual(['sold.units: 1 → 2', 'tags.1: nothing → "b"']);
  expect(differences(before, after, 1)).toHaveLength(1);
  expect(differences(undefined, { a: 1 }, 9)).toEqual(['a: nothing → 1']);
});

describe('another row', () => {
  const rows = [{ entity: 'station', prefix: '/v1/stations/', property: 'id', label: undefined }];
  const list = answer('/v1/stations', { stations: [{ id: 1 }, { id: 'a b' }] });

  it('is one that an answer names and no address does', () => {
    expect(otherRows(rows, [answer('/v1/stations/1', { id: 1 }), list])).toEqual(['/v1/stations/a%20b']);
  });

  it('is not looked for where no row is read, and not made up', () => {
    expect(otherRows(rows, [list])).toEqual([]);
    expect(otherRows(rows, [answer('/v1/stations/1', { id: 1 })])).toEqual([]);
  });
});

it('reads the items of a ranking', () => {
  expect(rankedItems({ items: [{ item: 'a', score: 1 }, { item: 'b' }] })).toEqual(['a', 'b']);
  expect(rankedItems({ value: 1 })).toBeUndefined();
  expect(memberOf({}, 'constructor')).toBeUndefined();
});

it('finds the path of an address', () => {
  expect(isAddressOf('/v1/riders/{id}/rides', '/v1/riders/7%2F8/rides?limit=3')).toBe(true);
  expect(isAddressOf('/v1/riders/{id}/rides', '/v1/riders/7')).toBe(false);
  expect(isAddressOf('/v1/riders/{id}', '/v1/stations/7')).toBe(false);
});

it('parses the feed wherever its text is cut', () => {
  const data = {
    change: 7,
    type: 't.v1',
    time: '2026-01-01T00:00:00.000Z',
    entities: ['station:1'],
    token: 'e.1',
  };
  const text = `retry: 1000\nid: e.0\n\nid: e.1\nevent: change\ndata: ${JSON.stringify(data)}\n\nid: e.1\nevent: reset\ndata: {"reason":"x"}\n\n`;
  for (let cut = 0; cut <= text.length; cut += 1) {
    const taken: Change[] = [];
    const parse = eventParser((name, json) =>
      taken.push(...[changeOf(name, json)].filter((change) => change !== undefined)),
    );
    parse(text.slice(0, cut));
    parse(text.slice(cut));
    expect(taken).toEqual([{ change: 7, type: 't.v1', time: data.time, entities: data.entities }]);
  }
});

describe('the learning loop', () => {
  const linesOf = (title: string, json: unknown) =>
    LEARNING_PARTS.find((part) => part.title === title)?.lines(json) ?? [];

  it('is said in lines, of answers as the document has them', () => {
    const examples = { ...EXAMPLES, ...WRITTEN_EXAMPLES };
    const [rollout, feedback, drift] = ['getRollout', 'getFeedback', 'getDrift'].map(
      (id) => examples[id]?.['200'],
    );
    expect(linesOf('Rollout', rollout).join()).toMatch(
      /shadow, 0 % \(started by \S+\), \w{12} against \w{12}/,
    );
    expect(linesOf('Hit rates', feedback).join()).toMatch(
      /\w+: [\d.]+ % \([\d.]+ % to [\d.]+ %\) of \d+; \d+ wait/,
    );
    expect(linesOf('Drift', drift)).toEqual([
      expect.stringMatching(/^\w{12}: \d+ rows; trips_7d stands out most, [\d.]+ of [\d.]+$/),
      expect.stringMatching(/ to now: trips_7d has drifted, and the run \S+ has begun$/),
    ]);
    for (const json of [rollout, feedback, drift])
      for (const { lines } of LEARNING_PARTS) expect(lines(json).join()).not.toContain('undefined');
  });

  it('says what there is not', () => {
    expect(linesOf('Rollout', { plan: null, steps: [] })).toEqual([
      expect.stringContaining('declares no rollout'),
    ]);
    expect(linesOf('Rollout', { plan: {}, steps: [] })).toEqual(['There was no rollout yet.']);
    expect(linesOf('Hit rates', { versions: [] })).toEqual(['No answer was logged yet.']);
    expect(linesOf('Drift', { versions: [] })).toEqual([expect.stringContaining('No version is watched')]);
  });
});
