/** `npm run page`: builds the scripts and the style of the pages for people after a change in `src/gateway/page/browser`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ASSETS, assetsModule } from './page/assets.ts';

const text = await assetsModule();
writeFileSync(join(import.meta.dirname, '..', ASSETS), text);
console.log(`${ASSETS}: ${text.length} characters`);
