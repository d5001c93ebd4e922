import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { isStillRunning, ownIdentity } from '../processes/table.ts';

const Identity = z.object({ pid: z.int().positive(), startedAt: z.string() });

const Running = z.object({
  version: z.literal(1),
  /** The process of `npm run dev`. */
  owner: Identity,
  /** The id of this start: `/health/live` of its worker shows it. */
  instance: z.string(),
  /** Where its worker answers. */
  url: z.string(),
  /** The leader of the process group of the worker; unset until that is started. */
  worker: Identity.optional(),
});

/** What the stack that uses a state folder records there. */
export type Running = z.output<typeof Running>;

/** A file in the state folder. While the process that it names runs, no other process may touch the folder. */
const FILE = 'running.json';

/** A state folder that this process alone uses. */
export interface StateLock {
  /** What an earlier owner recorded that did not end properly. */
  readonly abandoned: Running | undefined;
  /** Records more about this stack. */
  update(change: Pick<Running, 'worker'>): void;
  release(): void;
}

/** Another stack uses the state folder. */
export class StateInUse extends Error {
  constructor(stateDir: string, { owner, url }: Running) {
    super(
      `${stateDir}/ is in use by the Millrace stack of process ${owner.pid}, at ${url}. Nothing was changed. End it with ` +
        `Ctrl-C in its terminal or with \`kill ${owner.pid}\`, or name another folder with --state.`,
    );
  }
}

/**
 * Claims a state folder for this process.
 *
 * @throws StateInUse while another process has it.
 */
export function lockState(stateDir: string, claim: Pick<Running, 'instance' | 'url'>): StateLock {
  const path = join(stateDir, FILE);
  let current: Running = { version: 1, owner: ownIdentity(), ...claim };
  const draft = `${path}.${process.pid}`;
  const write = () => writeFileSync(draft, `${JSON.stringify(current, null, 2)}\n`, { mode: 0o600 });
  write();
  let abandoned: Running | undefined;
  try {
    for (let attempt = 0; ; attempt += 1) {
      try {
        // A link to a whole file: unlike an exclusive creation it is never seen half-written.
        linkSync(draft, path);
        break;
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST') || attempt > 1)
          throw error;
      }
      const known = readRecord(path);
      if (known !== undefined && isStillRunning(known.owner)) throw new StateInUse(stateDir, known);
      // Its owner ended without removing it, by SIGKILL or with the machine. A stack replaces its record as a whole, so a
      // damaged one has no owner that runs.
      abandoned = takeAway(path, stateDir) ?? abandoned;
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return {
    abandoned,
    update: (change) => {
      current = { ...current, ...change };
      write();
      renameSync(draft, path);
    },
    release: () => rmSync(path, { force: true }),
  };
}

/** Removes an abandoned record. Another start may have replaced it in the meantime: then that one keeps the folder. */
function takeAway(path: string, stateDir: string): Running | undefined {
  const aside = `${path}.${process.pid}.old`;
  renameSync(path, aside);
  try {
    const taken = readRecord(aside);
    if (taken === undefined || !isStillRunning(taken.owner)) return taken;
    linkSync(aside, path);
    throw new StateInUse(stateDir, taken);
  } finally {
    rmSync(aside, { force: true });
  }
}

/** The stack that uses a state folder now; undefined where none does. */
export function runningStack(stateDir: string): Running | undefined {
  const known = readRecord(join(stateDir, FILE));
  return known !== undefined && isStillRunning(known.owner) ? known : undefined;
}

function readRecord(path: string): Running | undefined {
  try {
    return Running.safeParse(JSON.parse(readFileSync(path, 'utf8'))).data;
  } catch {
    return undefined;
  }
}
