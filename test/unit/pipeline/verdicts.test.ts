import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CALLS_MAX, CallBudget, settle, type VerdictPorts } from '../../../src/pipeline/verdicts.ts';

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
  // The first call is free.
  expect(calls()).toBeLessThanOrEqual(CALLS_MAX + 1);
  const left = verdict?.kind === 'failed' ? verdict.parts.flatMap(({ message }) => message) : [];
  expect([...left, ...handled].sort((a, b) => a - b)).toEqual(items);
});

it('finds one bad event among a hundred messages of one event by halving', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(99), async (bad) => {
      const { ports, handled, calls } = world({ bad: [bad] });
      const messages = Array.from({ length: 100 }, (_, item) => [item]);
      const verdicts = await settle(messages, ports);
      expect(verdicts.map(({ kind }) => kind)).toEqual(
        messages.map(([item]) => (item === bad ? 'failed' : 'handled')),
      );
      expect(handled.size).toBe(99);
      expect(calls()).toBeLessThanOrEqual(15);
    }),
  );
});

it('counts no failure of messages that the budget of a batch leaves unsearched', async () => {
  const items = Array.from({ length: 100 }, (_, item) => item);
  const { ports, calls } = world({ bad: items });
  const budget = new CallBudget();
  const first = await settle(
    items.map((item) => [item]),
    ports,
    budget,
  );
  const second = await settle(
    items.map((item) => [item]),
    ports,
    budget,
  );
  // Two free calls.
  expect(calls()).toBeLessThanOrEqual(CALLS_MAX + 2);
  const kinds = [...first, ...second].map(({ kind }) => kind);
  expect(new Set(kinds)).toEqual(new Set(['failed', 'outage']));
  expect(second.every(({ kind }) => kind === 'outage')).toBe(true);
});
