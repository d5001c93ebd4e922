import type * as z from 'zod';
import { jsonPointer } from '../platform/failure.ts';

/** A view found something that its own response schema refuses, such as a NaN that another application wrote. */
export class AnswerMismatch extends Error {
  override readonly name = 'AnswerMismatch';
  /** JSON Pointer into the answer. */
  readonly pointer: string;
  /** The innermost object around it, usually the row. */
  readonly row: Readonly<Record<string, unknown>>;

  constructor(issue: Pick<z.core.$ZodIssue, 'path' | 'message'>, found: unknown) {
    const pointer = jsonPointer(issue.path);
    super(`The answer does not fit its response schema at "${pointer}": ${issue.message}`);
    this.pointer = pointer;
    this.row = innermost(found, issue.path.slice(0, -1));
  }
}

/** @throws AnswerMismatch */
export function parseAnswer(response: z.ZodType, found: unknown): unknown {
  const parsed = response.safeParse(found);
  if (parsed.success) return parsed.data;
  const [issue = { path: [], message: 'The schema refuses it.' }] = parsed.error.issues;
  throw new AnswerMismatch(issue, found);
}

function innermost(found: unknown, path: readonly PropertyKey[]): Readonly<Record<string, unknown>> {
  let row: Readonly<Record<string, unknown>> = {};
  let value: unknown = found;
  for (const step of [undefined, ...path]) {
    if (step !== undefined) value = Reflect.get(Object(value), step);
    if (isRecord(value)) row = value;
  }
  return row;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
