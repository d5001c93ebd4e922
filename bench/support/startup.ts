import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { bundle } from './runtime.ts';

/** The platform refuses a worker whose global scope takes longer, in milliseconds of CPU. */
export const STARTUP_LIMIT_MS = 1_000;

/** The part of a CPU profile that counts: which function each sample was in, and how long, in microseconds. */
const Profile = z.object({
  nodes: z.array(z.object({ id: z.number(), callFrame: z.object({ functionName: z.string() }) })),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

interface Startup {
  /** The shortest of the measured starts, in milliseconds: other work on the machine only adds. */
  readonly workerMs: number;
  readonly referenceMs: number;
  /** The start of the worker in starts of the reference. */
  readonly ratio: number;
}

/**
 * Measures the start of the built worker by `wrangler check startup`, in turns with a worker of known work.
 *
 * @param rounds how often each is started.
 */
export function measureStartup(rounds: number): Startup {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-startup-'));
  try {
    const worker = join(folder, 'worker.bundle');
    const reference = join(folder, 'reference.bundle');
    bundle('--outfile', worker);
    bundle('bench/startup-reference.ts', '--config', 'bench/empty.toml', '--outfile', reference);
    const times = Array.from({ length: rounds }, () => ({
      reference: activeMs(reference, folder),
      worker: activeMs(worker, folder),
    }));
    const workerMs = Math.min(...times.map((time) => time.worker));
    const referenceMs = Math.min(...times.map((time) => time.reference));
    return { workerMs, referenceMs, ratio: workerMs / referenceMs };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The time of one start without idling, in milliseconds. */
function activeMs(worker: string, folder: string): number {
  const outfile = join(folder, 'start.cpuprofile');
  execFileSync('wrangler', ['check', 'startup', '--worker', worker, '--outfile', outfile], {
    stdio: 'ignore',
  });
  const { nodes, samples, timeDeltas } = Profile.parse(JSON.parse(readFileSync(outfile, 'utf8')));
  const idle = new Set(
    nodes.filter(({ callFrame }) => callFrame.functionName === '(idle)').map(({ id }) => id),
  );
  return timeDeltas.reduce((sum, us, index) => sum + (idle.has(samples[index] ?? 0) ? 0 : us), 0) / 1_000;
}
