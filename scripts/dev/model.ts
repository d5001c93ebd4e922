import { join } from 'node:path';
import { createClient } from '../../src/client/index.ts';
import type { ModelDefinition } from '../../src/define/model.ts';
import type { FirstVersion, Project } from '../../src/define/project.ts';
import { publishFolder } from '../models/publish.ts';
import type { DevDatabase } from './database.ts';
import { spawnOwned } from './processes/owned.ts';

interface Stack {
  readonly database: DevDatabase;
  readonly url: string;
  readonly key: string;
  readonly stateDir: string;
  /** Whether there is anything to train from. */
  readonly hasEvents: boolean;
  /** Ends a training under way. */
  readonly signal: AbortSignal;
}

/** Publishes a first version of each model that has none yet, as the project says how. */
export async function ensureModels(
  models: readonly ModelDefinition[],
  project: Project,
  stack: Stack,
  step: (text: string) => void,
): Promise<void> {
  for (const model of models) {
    const { name } = model;
    if (stack.signal.aborted) return;
    if (await isPublished(name, stack)) continue;
    const problem = await publishFirst(name, project.models[name], stack);
    step(
      problem === undefined
        ? `the model "${name}" has a first version`
        : `the model "${name}" has no version yet and answers ${answerWithoutVersion(model)}: ${problem}`,
    );
  }
}

/** A declared constant answers without a version; a shipped fallback comes with the version that is missing. */
function answerWithoutVersion(model: ModelDefinition): string {
  const hasConstant = model.task !== 'ranking' && typeof model.fallback === 'object';
  return hasConstant ? 'with its fallback' : '503';
}

async function isPublished(name: string, { url, key }: Stack): Promise<boolean> {
  const { data } = await createClient({ url, key }).get('/v1/models/{model}', { path: { model: name } });
  return (data.aliases['champion']?.version ?? null) !== null;
}

/** @returns why there is still no version; undefined where there is one. */
async function publishFirst(
  name: string,
  first: FirstVersion | undefined,
  stack: Stack,
): Promise<string | undefined> {
  const { url, key } = stack;
  if (first === undefined)
    return 'src/catalog/project.ts names no first version; `npm run publish` publishes one';
  if ('train' in first && !stack.hasEvents)
    return `there are no events to train from yet; later, \`npm run train -- ${name} --publish\``;
  if ('train' in first) return await train(name, stack);
  try {
    await publishFolder(first.bundle, { url, key });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Training takes a process of its own, because this one has to answer the database's requests meanwhile. */
async function train(
  name: string,
  { database, url, key, stateDir, signal }: Stack,
): Promise<string | undefined> {
  const out = join(stateDir, 'models', name);
  const args = ['scripts/train.ts', name, '--out', out, '--publish', '--url', url, '--key', key];
  const training = spawnOwned(process.execPath, args, {
    output: 'inherit',
    env: { ...process.env, DATABASE_URL: database.connectionString, DATABASE_ENDPOINT: database.endpoint },
  });
  const stop = () => void training.end();
  signal.addEventListener('abort', stop, { once: true });
  const code = await training.exited;
  signal.removeEventListener('abort', stop);
  return code === 0 ? undefined : `its training failed; \`npm run train -- ${name} --publish\` tries again`;
}
