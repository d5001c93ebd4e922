import { defineCatalog } from '../../../src/define/define-catalog.ts';
import * as entities from './entities.ts';
import * as events from './events.ts';
import { examples } from './examples.ts';
import * as features from './features.ts';
import * as models from './models.ts';
import * as views from './views.ts';

/** A bike-share: stations, their docks, riders, rides, and what stations report of themselves. */
export const catalog = defineCatalog({ entities, events, views, features, models }, { examples });
