import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** Writes how long each test file took, the longest first: its hooks and tests, and the loading of what it imports. */
export class DurationsReporter implements Reporter {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines = modules
      .map((module) => {
        const { duration, collectDuration, setupDuration } = module.diagnostic();
        const name = `|${module.project.name}| ${module.relativeModuleId}`;
        return { name, testsS: duration / 1_000, loadS: (collectDuration + setupDuration) / 1_000 };
      })
      .toSorted((a, b) => b.testsS + b.loadS - a.testsS - a.loadS)
      .map(({ name, testsS, loadS }) => `${testsS.toFixed(1)} s + ${loadS.toFixed(1)} s to load  ${name}`);
    writeFileSync(this.#file, `${lines.join('\n')}\n`);
  }
}
