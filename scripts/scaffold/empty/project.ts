import { defineProject } from '../../../src/define/project.ts';

/**
 * What the commands around the worker want to know: a `seed` for the empty database of `npm run dev`, where the first
 * version of each model comes from, the lines to try, what `npm run smoke` follows. The worker never loads this file.
 * Each field has a default: src/define/project.ts describes them.
 */
export const project = defineProject();
