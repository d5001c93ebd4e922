import { transformSync } from 'esbuild';
import type { Subject } from './mix.ts';

/**
 * Deliberate faults, put into the text of a bundle before it runs: a checker that finds none of them would find
 * nothing. Each replaces one rule of the coherence protocol; the worker's sources know nothing of it. `of` says what a run has
 * to be about to find it.
 */
export const FAULTS = {
  validity: {
    what: 'every entry is valid, whatever the clock says',
    of: 'views',
    edits: [[/function isValid\(clock\w*, entry\w*, tags\w*\) \{/, '$& return true;']],
  },
  stamp: {
    what: 'the stamp of a fill is taken after the origin was read',
    of: 'views',
    edits: [
      [
        /(const \{ epoch[\w: ]*, seq: stamp\w* \} = ports\w*\.follower\.mirror\.clock;)([\s\S]{0,600}?const loaded\w* = await [^;]+;)/,
        '$2 $1',
      ],
    ],
  },
  age: {
    what: 'a mirror that has synced once never counts as too old',
    of: 'views',
    edits: [
      [/ageMs\(this\.mirror, now\w*\) > maxAgeMs/, 'false'],
      [/if \(due && this\.#inFlight === void 0\) this\.#send\(need, context\);/, ''],
    ],
  },
  acknowledge: {
    what: 'a write is acknowledged before its invalidation',
    of: 'views',
    edits: [
      [
        /const at = await invalidateTags\((env\d*), tags\);/,
        'const at = await invalidateTags($1, []); keepAlive(new Promise((go) => setTimeout(go, 200)).then(() => invalidateTags($1, tags)));',
      ],
    ],
  },
  relay: {
    what: 'the relay marks changes as relayed without invalidating them',
    of: 'views',
    edits: [[/(await steps\w*\.invalidate\()traced\w*\.flatMap\(/, '$1[].flatMap(']],
  },
  standin: {
    what: 'strong and session readers get an old answer while the database is unavailable',
    of: 'views',
    edits: [[/policy\w*\.staleIfErrorFor === "bounded" && /, 'false && ']],
  },
  fold: {
    what: 'events are folded into the features, and nothing is invalidated',
    of: 'features',
    edits: [
      [
        /const at = await (invalidate\w*)\(tags\);(\s+for \(const \{ shard, announcement)/,
        'const at = await $1([]);$2',
      ],
    ],
  },
  window: {
    what: 'a shard shows folds that are not invalidated yet as if they were',
    of: 'features',
    edits: [
      [/const (open\w*) = this\.#foldOf\.size === 0 \? \[\] : [^;]+;/, 'const $1 = [];'],
      [
        /const at = await (invalidate\w*)\(tags\);(\s+for \(const \{ shard, announcement)/,
        'await new Promise((go) => setTimeout(go, 200)); const at = await $1(tags);$2',
      ],
    ],
  },
  disk: {
    what: 'the root clock keeps its state in memory alone',
    of: 'views',
    edits: [[/save\w*\(next\w*, tags\w*, nowMs\w*, phases\w* === void 0 [^;]+\);/, '']],
  },
} satisfies Record<string, { what: string; of: Subject; edits: [RegExp, string][] }>;

export type Fault = keyof typeof FAULTS;

export function isFault(name: string): name is Fault {
  return Object.hasOwn(FAULTS, name);
}

/**
 * @throws Error where the bundle no longer has the text that a fault replaces, or has it twice, or where the text in its
 *   place is no JavaScript there.
 */
export function withFault(bundle: string, fault: Fault): string {
  try {
    let text = bundle;
    for (const [pattern, replacement] of FAULTS[fault].edits) text = replaceOnce(text, pattern, replacement);
    transformSync(text, { logLevel: 'silent' });
    return text;
  } catch (cause) {
    throw new Error(
      `The fault "${fault}" cannot be planted, because the worker's code has changed. ${String(cause)} Correct its pattern in scripts/verify/faults.ts.`,
      { cause },
    );
  }
}

/** The same worker under a catalog whose views declare no `sourceBoundMs` of their own and default to this one. */
export function withSourceBound(bundle: string, boundMs: number): string {
  return replaceOnce(bundle, /var SOURCE_BOUND_MS = [\de]+;/, `var SOURCE_BOUND_MS = ${boundMs};`);
}

function replaceOnce(text: string, pattern: RegExp, replacement: string): string {
  const found = text.match(new RegExp(pattern, 'g'))?.length ?? 0;
  if (found !== 1) throw new Error(`The bundle has ${pattern} ${found} times; this needs it once.`);
  return text.replace(pattern, replacement);
}
