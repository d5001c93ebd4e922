import fc from 'fast-check';
import { expect, it } from 'vitest';
import { settle, type VerdictPorts } from '../../../src/pipeline/verdicts.ts';

type Message = readonly number[];

/** A handler that fails for some items, or altogether while what it needs is away. */
function world({ bad, away = false }: { bad: readonly number[]; away?: boolean }) {
  const handled = new Set<number>();
  let calls = 0;
  const ports: VerdictPorts<Message> = {
    handle: async (messages) => {
      calls += 1;
      if (away || messages.flat().some((item) => bad.includes(item))) throw new Error('it fails');
      for (const item of messages.flat()) handled.add(item);
    },
    halves: (message) => {
      const half = Math.ceil(message.length / 2);
      return message.length > 1 ? [message.slice(0, half), message.slice(half)] : undefined;
    },
    isOutage: () => false,
    probe: async () => {
      if (away) throw new Error('away');
    },
  };
  return { ports, handled, calls: () => calls };
}

const anyMessages = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }).map((sizes) => {
  let next = 0;
  return sizes.map((size) => Array.from({ length: size }, () => next++));
});

it('handles all items except the failing ones, and finds exactly these', async () => {
  const anyBad = fc.uniqueArray(fc.nat(149), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(anyMessages, anyBad, async (messages, bad) => {
      const { ports, handled } = world({ bad });
      const verdicts = await settle(messages, ports);
      expect(verdicts).toHaveLength(messages.length);
      for (const [index, verdict] of verdicts.entries()) {
        const faulty = (messages[index] ?? []).filter((item) => bad.includes(item));
        const parts = verdict.kind === 'failed' ? verdict.parts.map(({ message }) => message) : [];
        expect(parts).toEqual(faulty.map((item) => [item]));
      }
      expect(handled.size).toBe(messages.flat().filter((item) => !bad.includes(item)).length);
    }),
  );
});

it('counts no failure during an outage, and stops trying', async () => {
  await fc.assert(
    fc.asyncProperty(anyMessages, async (messages) => {
      const { ports, calls } = world({ bad: [], away: true });
      const verdicts = await settle(messages, ports);
      expect(verdicts.map(({ kind }) => kind)).toEqual(messages.map(() => 'outage'));
      expect(calls()).toBe(1);
    }),
  );
});

it('calls the handler a bounded number of times, and returns the remaining parts', async () => {
  const items = Array.from({ length: 400 }, (_, index) => index);
  const { ports, handled, calls } = world({ bad: items.filter((item) => item % 3 === 0) });
  const [verdict] = await settle([items], ports);
  expect(calls()).toBeLessThanOrEqual(120);
  const left = verdict?.kind === 'failed' ? verdict.parts.flatMap(({ message }) => message) : [];
  expect([...left, ...handled].sort((a, b) => a - b)).toEqual(items);
});
