import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { KEY } from '../../support/node/stack.ts';
import { sendWithJavaScript } from './javascript.ts';

/** Values of extension attributes: each SDK makes them in its language's own type (CloudEvents 1.0.2, "Type System"). */
export type ExtensionValue =
  | { readonly type: 'string' | 'uri' | 'timestamp' | 'binary'; readonly value: string }
  | { readonly type: 'integer'; readonly value: number }
  | { readonly type: 'boolean'; readonly value: boolean };

/** An event that a client makes with its SDK and sends. Bytes are in base64 here, as JSON has none. */
export interface SentEvent {
  readonly attributes: Readonly<Record<string, string>>;
  readonly extensions?: Readonly<Record<string, ExtensionValue>>;
  readonly data?: { readonly json: object } | { readonly text: string } | { readonly base64: string };
}

export type Mode = 'structured' | 'binary' | 'batch';

/** What a client sends in one request: one event, or the events of a batch. */
export interface SentRequest {
  readonly mode: Mode;
  readonly events: readonly SentEvent[];
}

/** The answer to a request, or why the SDK or its HTTP client did not send it. */
export type Answer =
  | { readonly status: number; readonly body: Readonly<Record<string, unknown>> }
  | { readonly error: string };

export type ClientName = 'javascript' | 'python' | 'python-v1' | 'go' | 'java';

export interface Client {
  readonly name: ClientName;
  /** Why its tests are skipped, where something is missing. */
  readonly missing?: string;
  readonly send: (url: URL, requests: readonly SentRequest[]) => Promise<Answer[]>;
}

/** Ends a client that hangs; each request has a deadline of its own. */
const CLIENT_TIMEOUT_MS = 90_000;

/** A client that is a program: the requests are its input, and it writes an answer a line. */
function program(
  command: string,
  argsFor: (...target: [url: string, key: string]) => readonly string[],
  env: NodeJS.ProcessEnv = {},
): Client['send'] {
  return async (url, requests) => {
    const child = spawn(command, [...argsFor(url.origin, KEY)], {
      env: { ...process.env, ...env },
      timeout: CLIENT_TIMEOUT_MS,
      stdio: 'pipe',
    });
    child.stdin.end(JSON.stringify(requests));
    const [out, err, code] = await Promise.all([
      textOf(child.stdout),
      textOf(child.stderr),
      new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject)),
    ]);
    if (code !== 0) throw new Error(`${command} has ended with ${code}: ${err}`);
    return out
      .trimEnd()
      .split('\n')
      .map((line): Answer => JSON.parse(line));
  };
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** What `.ci/run` prepares: the packages of `python/`, the built client of `go/`, the jars of `java/`. */
const PYTHON_PACKAGES = process.env['TEST_SDK_PYTHON'];
const GO_CLIENT = process.env['TEST_SDK_GO'];
const JAVA_JARS = process.env['TEST_SDK_JAVA'];

const FOLDER = import.meta.dirname;
const unset = (name: string, value: string | undefined) =>
  value === undefined ? { missing: `${name} is not set` } : {};
const python = (api: string) =>
  program('python3', (...target) => [join(FOLDER, 'python/client.py'), ...target, api], {
    PYTHONPATH: PYTHON_PACKAGES,
    PYTHONUTF8: '1',
  });

export const CLIENTS: readonly Client[] = [
  { name: 'javascript', send: sendWithJavaScript },
  { name: 'python', ...unset('TEST_SDK_PYTHON', PYTHON_PACKAGES), send: python('core') },
  { name: 'python-v1', ...unset('TEST_SDK_PYTHON', PYTHON_PACKAGES), send: python('v1') },
  {
    name: 'go',
    ...unset('TEST_SDK_GO', GO_CLIENT),
    send: program(GO_CLIENT ?? '', (...target) => target),
  },
  {
    name: 'java',
    ...unset('TEST_SDK_JAVA', JAVA_JARS),
    send: program('java', (...target) => [
      // In it `HttpURLConnection` writes headers; another one would replace letters by question marks.
      '-Dfile.encoding=UTF-8',
      '-cp',
      join(JAVA_JARS ?? '', '*'),
      join(FOLDER, 'java/Client.java'),
      ...target,
    ]),
  },
];
