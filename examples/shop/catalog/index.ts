import { defineCatalog } from '../../../src/define/define-catalog.ts';
import * as entities from './entities.ts';
import * as events from './events.ts';
import { examples } from './examples.ts';
import * as features from './features.ts';
import * as models from './models.ts';
import { retention } from './retention.ts';
import * as views from './views.ts';

/** An online shop: customers, products, purchases, returns and product views. */
export const catalog = defineCatalog({ entities, events, views, features, models }, { retention, examples });
