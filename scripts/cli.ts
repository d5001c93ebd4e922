/** `npm run cli -- COMMAND`: what an operator does to a running deployment. docs/command-line.md describes it. */
import { enableCompileCache } from 'node:module';

// A command that only sends a request spends most of its time on loading; what was compiled once is read from a folder of
// the system's temporary files.
enableCompileCache();
await import('./cli/main.ts');
