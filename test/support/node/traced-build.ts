import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseAst } from 'vitest/node';
import { buildWorker } from './built-worker.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** The rooms whose functions are traced. */
const TRACED = /^(?:src|queues|durable-objects)\//;

/** A node of an ESTree program, as far as it is read here. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Builds a worker in which each function of the product's rooms records that it ran, as `<file>#<function>` in the set
 * `__ran` of the isolate. All objects of the local platform share the isolate.
 *
 * @param configPath of wrangler, with the entry module.
 * @returns the folder of the built worker, which is removed when this process exits.
 */
export async function tracedBuild(configPath: string): Promise<string> {
  const folder = await buildWorker(configPath);
  const bundle = join(folder, 'traced.js');
  writeFileSync(bundle, traced(readFileSync(bundle, 'utf8'), dirname(configPath)));
  return folder;
}

/**
 * A bundle of esbuild with the calls that record which functions run.
 *
 * @param folder to which the paths in the bundle are relative.
 */
function traced(bundle: string, folder: string): string {
  // Before the code of each module, esbuild writes the module's path in a comment.
  const modules = [...bundle.matchAll(/^\/\/ (\S+)$/gm)].map(({ index, 1: path = '' }) => ({
    from: index,
    file: relative(ROOT, resolve(folder, path)),
  }));
  const insertions: { readonly at: number; readonly text: string }[] = [];
  const add = (at: number, text: string) => insertions.push({ at, text });
  for (const { body, isBlock, name } of functionsOf(parseAst(bundle))) {
    const file = modules.findLast(({ from }) => from <= body.start)?.file ?? '';
    if (!TRACED.test(file)) continue;
    const call = `__ran.add(${JSON.stringify(`${file}#${name}`)})`;
    if (isBlock) add(body.start + 1, `${call};`);
    else {
      add(body.start, `(${call},`);
      add(body.end, ')');
    }
  }
  insertions.sort((a, b) => a.at - b.at);
  let text = 'const __ran = (globalThis.__ran = new Set());\n';
  let from = 0;
  for (const insertion of insertions) {
    text += bundle.slice(from, insertion.at) + insertion.text;
    from = insertion.at;
  }
  return text + bundle.slice(from);
}

interface Traced {
  readonly body: Node;
  /** False for an arrow function whose body is an expression. */
  readonly isBlock: boolean;
  readonly name: string;
}

/** All functions of a program, each with the name by which it is declared, as far as it has one. */
function functionsOf(program: object): Traced[] {
  const found: Traced[] = [];
  const visit = (value: unknown, named: string): void => {
    if (Array.isArray(value)) for (const element of value) visit(element, named);
    if (!isNode(value)) return;
    const name = nameIn(value) ?? named;
    const body: unknown = Reflect.get(value, 'body');
    if (/Function/.test(value.type) && isNode(body))
      found.push({ body, isBlock: body.type === 'BlockStatement', name });
    for (const member of Object.values(value)) visit(member, name);
  };
  visit(program, '');
  return found;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** The name that a declaration, a member or a variable gives to what is in it. */
function nameIn(node: Node): string | undefined {
  for (const member of ['id', 'key']) {
    const named: unknown = Reflect.get(node, member);
    const name: unknown = isNode(named) ? Reflect.get(named, 'name') : undefined;
    if (typeof name === 'string') return name;
  }
  return undefined;
}
