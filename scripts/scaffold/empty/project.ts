import { defineProject } from '../../../src/define/project.ts';

/**
 * What the npm scripts need besides the declarations: a `seed` for the empty database of `npm run dev`, the source of
 * each model's first version, the lines to try, and the event that `npm run smoke` follows. The worker never loads this
 * file. Each field has a default: src/define/project.ts describes them.
 */
export const project = defineProject();
