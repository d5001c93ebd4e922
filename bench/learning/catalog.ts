import * as entities from '../../examples/shop/catalog/entities.ts';
import * as events from '../../examples/shop/catalog/events.ts';
import * as features from '../../examples/shop/catalog/features.ts';
import * as views from '../../examples/shop/catalog/views.ts';
import { defineCatalog } from '../../src/define/define-catalog.ts';
import { fastRanker } from './fast-clock.ts';

/** The shop, with its ranking on a fast clock. */
export const catalog = defineCatalog({ entities, events, features, views, models: { ranker: fastRanker } });
