import { defineCatalog } from '../../../../src/define/define-catalog.ts';
import * as entities from '../../catalog/entities.ts';
import * as events from '../../catalog/events.ts';
import * as features from '../../catalog/features.ts';
import * as views from '../../catalog/views.ts';
import { fastRanker } from './fast-clock.ts';

/** The shop, with its ranking on a fast clock. */
export const catalog = defineCatalog({ entities, events, features, views, models: { ranker: fastRanker } });
