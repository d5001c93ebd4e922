import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packBySize, sized } from '../../../src/platform/pack.ts';

describe('packing', () => {
  it('keeps order and limits, and loses nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 50 })),
        fc.integer({ min: 20, max: 500 }),
        (items, bytesMax) => {
          const groups = packBySize(items.map(sized), bytesMax, 7);
          expect(groups.flatMap(({ item }) => item)).toEqual(items);
          for (const { item: group, bytes } of groups) {
            expect(Buffer.byteLength(JSON.stringify(group))).toBe(bytes + 1);
            expect(group.length).toBeLessThanOrEqual(7);
            if (group.length > 1)
              expect(Buffer.byteLength(JSON.stringify(group))).toBeLessThanOrEqual(bytesMax + 1);
          }
        },
      ),
    );
  });
});
