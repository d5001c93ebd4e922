/** Numbers as people read them. Pure. */

const INTEGER = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export function count(value: number): string {
  return value < 100_000 ? INTEGER.format(value) : COMPACT.format(value);
}

/** A rate per second: with a fraction where it is small. */
export function rate(value: number): string {
  if (value === 0) return '0';
  return value < 10 ? value.toPrecision(2) : count(value);
}

/** A share as percent. What is nearly all or nearly nothing keeps the digits that tell so. */
export function percent(share: number): string {
  const value = 100 * share;
  if (value === 0 || value === 100) return `${value} %`;
  if (value > 99.995) return '> 99.99 %';
  if (value > 99 || value < 1) return `${value.toFixed(2)} %`;
  return `${value.toFixed(1)} %`;
}

export function duration(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return '> 10 s';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`;
}

export function bytes(value: number): string {
  return value < 1_048_576 ? `${Math.round(value / 1_024)} KB` : `${(value / 1_048_576).toFixed(1)} MB`;
}

/** How long ago a moment was. */
export function ago(at: string, nowMs: number): string {
  const ms = nowMs - Date.parse(at);
  if (Number.isNaN(ms)) return at;
  return ms < 60_000 ? 'just now' : `${duration(ms)} ago`;
}
