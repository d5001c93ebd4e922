import { defineCatalog } from '../../../src/define/define-catalog.ts';
import * as entities from './entities.ts';
import * as events from './events.ts';
import * as features from './features.ts';
import * as models from './models.ts';
import * as views from './views.ts';

/** What this deployment serves: everything that the modules beside this one declare. */
export const catalog = defineCatalog({ entities, events, views, features, models });
