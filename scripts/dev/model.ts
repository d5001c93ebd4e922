import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ModelDefinition } from '../../src/define/model.ts';
import type { FirstVersion, Project } from '../../src/define/project.ts';
import { publishFolder } from '../models/publish.ts';
import type { DevDatabase } from './database.ts';

interface Stack {
  readonly database: DevDatabase;
  readonly url: string;
  readonly key: string;
  readonly stateDir: string;
}

/** Publishes a first version of each model that has none yet, as the project says how. */
export async function ensureModels(
  models: readonly ModelDefinition[],
  project: Project,
  stack: Stack,
  step: (text: string) => void,
): Promise<void> {
  for (const { name } of models) {
    if (await isPublished(name, stack)) continue;
    const first = project.models[name];
    if (first === undefined) {
      step(
        `the model "${name}" has no version yet, and src/catalog/project.ts names none: it answers 503, or its fallback`,
      );
      continue;
    }
    const problem = await publishFirst(name, first, stack);
    step(
      problem === undefined
        ? `the model "${name}" has a first version`
        : `the model "${name}" has no version yet and answers 503, or its fallback: ${problem}`,
    );
  }
}

/** A request that no graph takes: it is answered 503 where there is no version, and 422 where there is one. */
async function isPublished(name: string, { url, key }: Stack): Promise<boolean> {
  const answer = await fetch(`${url}/v1/predictions/${name}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [] }),
  });
  await answer.body?.cancel();
  return answer.status !== 503;
}

/** @returns why there is still no version; undefined where there is one. */
async function publishFirst(name: string, first: FirstVersion, stack: Stack): Promise<string | undefined> {
  const { url, key } = stack;
  if ('train' in first) return await train(name, stack);
  try {
    await publishFolder(first.bundle, { url, key });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Training takes a process of its own, because this one has to answer the database's requests meanwhile. */
async function train(name: string, { database, url, key, stateDir }: Stack): Promise<string | undefined> {
  const out = join(stateDir, 'models', name);
  const child = spawn(
    'node',
    ['scripts/train.ts', name, '--out', out, '--publish', '--url', url, '--key', key],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, DATABASE_URL: database.connectionString, DATABASE_ENDPOINT: database.endpoint },
    },
  );
  const [code]: unknown[] = await once(child, 'exit');
  return code === 0 ? undefined : `its training failed; \`npm run train -- ${name} --publish\` tries again`;
}
