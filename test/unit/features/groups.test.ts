import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { tagHash } from '../../../src/cache/clock/tag-hash.ts';
import { event } from '../../../src/define/event.ts';
import { type FeatureDefinition, feature } from '../../../src/define/feature.ts';
import { versionOf } from '../../../src/features/cell-rule.ts';
import { contributionsOf } from '../../../src/features/fold.ts';
import { answerTags, featureTag, groupOf, keyTags, partOf, readyTags } from '../../../src/features/groups.ts';
import { customer } from '../../support/catalog/entities.ts';
import { catalog } from '../../support/catalog/index.ts';

const Line = z.object({ by: z.string(), returned: z.boolean() });
type Line = z.output<typeof Line>;
const sale = (version: number) =>
  event({ type: 'sale', version, description: 'A sale.', data: Line, stores: () => [] });
const buyer = ({ by }: Line) => by;
const of = { entity: customer, event: sale(1), key: buyer };
const lines = feature.count({ ...of, name: 'lines', windowsDays: [7] });
const last = feature.last({ ...of, name: 'last' });
const returns = feature.count({
  ...{ ...of, name: 'returns', windowsDays: [7] },
  key: ({ by, returned }) => (returned ? by : null),
});

describe('a group', () => {
  it('is the features of one event type with the same key', () => {
    expect(groupOf(lines)).toBe(groupOf(last));
    expect(groupOf(lines)).not.toBe(groupOf(returns));
    expect(groupOf(lines)).toMatch(/^sale#[0-9a-f]{8}$/);
  });

  it('only changes together with the version of the feature', () => {
    const key = ({ by }: Line) => by.trim();
    const releases: FeatureDefinition[] = [1, 2].flatMap((version) =>
      [buyer, key].flatMap((keyOf) =>
        [undefined, 1, 2].map((declared) =>
          feature.count({
            ...{ ...of, name: 'lines', event: sale(version), key: keyOf, windowsDays: [7] },
            ...(declared === undefined ? {} : { version: declared }),
          }),
        ),
      ),
    );
    for (const a of releases)
      for (const b of releases)
        if (versionOf(a).digest === versionOf(b).digest) expect(groupOf(a)).toBe(groupOf(b));
    expect(new Set(releases.map(groupOf)).size).toBe(3);
  });
});

it('a fold and an answer have a tag in common exactly if the event counts in a feature of the answer, or in one of its group', () => {
  const own = [lines, last, returns];
  fc.assert(
    fc.property(
      fc.record({ by: fc.constantFrom('a', 'b'), returned: fc.boolean() }),
      fc.subarray(own),
      fc.constantFrom('a', 'b'),
      (data, used, key) => {
        const folded = { seq: 1, type: 'sale.v1', occurredAt: 0, data };
        const counted = contributionsOf(own, folded);
        const tags = counted.map(({ definition, contribution }) =>
          featureTag('customer', partOf(groupOf(definition), contribution.key)),
        );
        const answer = answerTags('customer', key, used);
        const groups = new Set(used.map(groupOf));
        const isUsed = counted.some(
          ({ definition, contribution }) => contribution.key === key && groups.has(groupOf(definition)),
        );
        expect(tags.some((tag) => answer.includes(tag))).toBe(isUsed);
      },
    ),
  );
});

it('an answer is dropped when one of its features becomes ready, and by no other', () => {
  const ready = readyTags('customer', ['lines']);
  const dropped = (used: readonly FeatureDefinition[]) =>
    answerTags('customer', 'a', used).some((tag) => ready.includes(tag));
  expect([dropped([lines]), dropped([last, returns]), dropped([])]).toEqual([true, false, false]);
  // An answer of more features than it names depends on all of them.
  const many = Array.from({ length: 33 }, (_, n) => feature.last({ ...of, name: `last${n}` }));
  expect(dropped(many)).toBe(true);
});

it('an event of the fixture catalog has as many tags as before: one for each of its keys', () => {
  for (const [type, { example }] of catalog.eventTypes) {
    if (example === undefined) continue;
    const counted = contributionsOf(catalog.features, { seq: 1, type, occurredAt: 0, data: example });
    const keys = counted.map(({ definition, contribution }) => [definition.entity.name, contribution.key]);
    const parts = counted.map(({ definition, contribution }) => [
      ...[definition.entity.name, contribution.key, groupOf(definition)],
    ]);
    const count = (texts: readonly string[][]) => new Set(texts.map((text) => JSON.stringify(text))).size;
    expect(count(parts)).toBe(count(keys));
  }
});

it('the tags of a key have different hashes in practice, and begin with that of the whole key', () => {
  const tags = keyTags('customer', 'a', [lines, last, returns]);
  expect(tags).toHaveLength(3);
  expect(tags[0]).toBe('features:customer:a');
  expect(new Set(tags.map(tagHash)).size).toBe(3);
});
