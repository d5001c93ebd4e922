import { expect, it } from 'vitest';
import { platformTracing } from '../../../../src/platform/tracing/platform.ts';
import { within } from '../../../../src/platform/tracing/span.ts';
import { LocalTrace } from '../../../../src/platform/tracing/trace.ts';

/** A context of the platform, whose tracing notes what it is asked. */
function contextThat(isTraced: boolean) {
  const noted: string[] = [];
  const span = {
    isTraced,
    setAttributes: (attributes: object) => noted.push(`set ${JSON.stringify(attributes)}`),
    end: () => noted.push('end'),
  };
  const tracing = {
    getActiveSpan: () => span,
    startActiveSpan: <T>(name: string, work: (of: typeof span) => T): T => {
      noted.push(`start ${name}`);
      return work(span);
    },
  };
  return { ctx: { tracing }, noted };
}

it('opens a span within the one of the platform, with its attributes, also if the work fails', async () => {
  const { ctx, noted } = contextThat(true);
  const platform = platformTracing(ctx);
  const ports = { now: () => 0, random: () => 0.5, take: () => undefined, lost: () => undefined, platform };
  const root = new LocalTrace('a'.repeat(32), true, ports).begin({ name: 'root' }, undefined);
  const failing = within(root, { name: 'fill product' }, async (span) => {
    span.set({ 'millrace.view': 'product' });
    throw new TypeError('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(noted).toEqual(['start fill product', 'set {"millrace.view":"product"}', 'end']);
});

it('is left out where the platform does not record the request, or has no tracing', () => {
  expect(platformTracing(contextThat(false).ctx)).toBeUndefined();
  expect(platformTracing({})).toBeUndefined();
});
