import { appendFileSync } from 'node:fs';
import type { SerializedError } from 'vitest';
import type { Reporter, TestCase, TestModule, TestSuite } from 'vitest/node';

/** An assertion's message has its difference in a few lines; a whole document that differs has thousands. */
const MESSAGE_LINES_MAX = 12;
const LINE_CHARACTERS_MAX = 200;

/**
 * Appends each failure to a file when it happens: one line `FAIL <project> <file> > <test>`, and its message indented
 * below. The file is short, and complete up to the last test even if the run is ended.
 */
export class FailuresReporter implements Reporter {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  onTestCaseResult(test: TestCase): void {
    const { state, errors } = test.result();
    if (state === 'failed') this.#append(test.module, ` > ${test.fullName}`, errors);
  }

  /** A hook that fails, fails its suite. */
  onTestSuiteResult(suite: TestSuite): void {
    if (suite.errors().length > 0) this.#append(suite.module, ` > ${suite.fullName}`, suite.errors());
  }

  /** A file that cannot be loaded has no tests. */
  onTestModuleEnd(module: TestModule): void {
    if (module.errors().length > 0) this.#append(module, '', module.errors());
  }

  onTestRunEnd(_modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    for (const error of unhandled) this.#write('outside of a test', [error]);
  }

  #append(module: TestModule, name: string, errors: readonly SerializedError[]): void {
    this.#write(`|${module.project.name}| ${module.relativeModuleId}${name}`, errors);
  }

  #write(where: string, errors: readonly SerializedError[]): void {
    const lines = errors.flatMap((error) => {
      const message = `${error.name ?? 'Error'}: ${error.message}`.split('\n');
      // The lines that differ; the lines between them are in the run's own output.
      const diff = typeof error['diff'] === 'string' ? error['diff'].split('\n').filter(differs) : [];
      return [...message, ...diff].slice(0, MESSAGE_LINES_MAX);
    });
    const indented = lines.map((line) => `     ${line}`.slice(0, LINE_CHARACTERS_MAX));
    appendFileSync(this.#file, `${[`FAIL ${where}`, ...indented].join('\n')}\n`);
  }
}

const differs = (line: string) => /^[+-]/.test(line);
