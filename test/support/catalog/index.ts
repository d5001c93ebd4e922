/**
 * The catalog of the product's own tests: two entities, three histories, three events, seven features, seven views and
 * a ranking model, so that each builder and each kind of read is there once. It is made for tests and is independent
 * of the catalogs in `examples/`, although it borrows the nouns of a shop. Change it only for what a test needs.
 */
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import * as entities from './entities.ts';
import * as events from './events.ts';
import * as features from './features.ts';
import * as models from './models.ts';
import { retention } from './retention.ts';
import * as views from './views.ts';

export const catalog = defineCatalog({ entities, events, views, features, models }, { retention });
