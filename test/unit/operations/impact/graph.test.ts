import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerOf } from '../../../../src/operations/impact/answer.ts';
import { metricsOf } from '../../../../src/operations/impact/counted.ts';
import { resolveElement } from '../../../../src/operations/impact/elements.ts';
import { type ElementKind, ImpactGraph } from '../../../../src/operations/impact/graph.ts';
import { PANELS } from '../../../../src/operations/panels.ts';
import { edgesNotFound, graphOf } from '../../../support/impact.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';

const { catalog } = FIXTURE;
const graph = await graphOf(catalog);
const answer = (id: string) => answerOf(graph, id, 'down');
const names = (id: string, kind: ElementKind) =>
  answer(id)
    .found[kind].map(({ name }) => name)
    .sort();

/** The same graph without one edge. */
function without(edge: (typeof graph.edges)[number]): ImpactGraph {
  const copy = new ImpactGraph();
  for (const { kind, name } of graph.nodes.values()) copy.node(kind, name);
  for (const { from, relation, to, how } of graph.edges)
    if (from !== edge.from || relation !== edge.relation || to !== edge.to)
      copy.edge(from, relation, to, how);
  return copy;
}

it('has each declaration of the catalog', () => {
  const declared = [
    ...catalog.entities.map(({ name }) => `entity:${name}`),
    ...catalog.events.map(({ name }) => `event:${name}`),
    ...catalog.views.map(({ name }) => `view:${name}`),
    ...catalog.models.map(({ name }) => `model:${name}`),
    ...[...catalog.features, ...catalog.derived].map(({ entity, name }) => `feature:${entity.name}.${name}`),
    ...catalog.objectives.map(({ name }) => `objective:${name}`),
  ];
  expect(declared.filter((id) => !graph.nodes.has(id))).toEqual([]);
  // Nothing stands alone.
  const alone = [...graph.nodes.keys()].filter(
    (id) => graph.at(id, 'down').length + graph.at(id, 'up').length === 0,
  );
  expect(alone).toEqual([]);
});

describe('each edge', () => {
  it('is found from both of its ends', () => {
    expect(graph.edges.length).toBeGreaterThan(300);
    expect(edgesNotFound(graph, graph.edges)).toEqual([]);
  });

  it('is missed if the graph does not have it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...graph.edges), (edge) => {
        expect(edgesNotFound(without(edge), [edge])).toEqual([edge]);
      }),
      { numRuns: 20 },
    );
  });
});

describe('a walk', () => {
  it('finds what a column concerns, and how that is known', () => {
    expect(names('column:products.unit_price', 'view')).toEqual(['price-list', 'product', 'products']);
    expect(names('column:products.unit_price', 'tag')).toEqual(['product/by-price', 'product:{sku}']);
    expect(names('column:products.unit_price', 'route')).toEqual([
      ...['GET /v1/price-list', 'GET /v1/products', 'GET /v1/products/{sku}'],
    ]);
    expect(answer('column:products.unit_price').found.view.map(({ how }) => how)).toEqual([
      ...['observed', 'observed', 'observed'],
    ]);
    expect(answer('column:products.unit_price').found.tag.every(({ how }) => how === 'declared')).toBe(true);
    expect(names('column:products.unit_price', 'dashboard')).toHaveLength(3);
    expect(names('column:products.unit_price', 'alert')).toContain('MillraceAvailabilityBurns');
  });

  it('says what writes a column, without what else that writes', () => {
    const { writers } = answer('column:products.unit_price');
    expect(writers.map(({ from }) => from).sort()).toEqual([
      ...['event:shop.purchase', 'event:shop.return'],
      ...['field:shop.purchase.unitPrice', 'field:shop.return.unitPrice'],
      'route:PUT /v1/products/{sku}',
    ]);
    expect(names('column:products.unit_price', 'event')).toEqual([]);
    expect(names('column:products.unit_price', 'column')).toEqual([]);
  });

  it('goes from a field to columns, features, models and views', () => {
    expect(names('field:shop.purchase.unitPrice', 'column')).toEqual([
      ...['products.unit_price', 'purchases.unit_price'],
    ]);
    expect(names('field:shop.purchase.unitPrice', 'feature')).toEqual([
      ...['customer.order_share', 'customer.spend_minor'],
    ]);
    expect(names('field:shop.purchase.unitPrice', 'rule')).toContain('shop.purchase/price_not_positive');
  });

  it('takes a value that is stored in a key for a value', () => {
    const { found } = answer('field:shop.product-view.customerId');
    // Nothing that is declared over the entity alone: its purchases are counted from another event.
    expect(found.entity).toEqual([]);
    expect(found.feature.map(({ name }) => name)).toEqual(['customer.product_views']);
  });

  it('asks for a table together with its columns, and for what is declared over it', () => {
    expect(names('table:customers', 'entity')).toEqual(['customer']);
    expect(names('table:customers', 'feature')).toContain('customer.spend_minor');
    expect(names('table:customers', 'view')).toContain('account');
  });

  it('goes up from a model to its features, events and columns', () => {
    const { found } = answerOf(graph, `model:${catalog.models[0]?.name}`, 'up');
    expect(found.event.map(({ name }) => name)).toContain('shop.purchase');
    expect(found.feature.length).toBeGreaterThan(0);
    // What writes into the columns of its entity ends the walk.
    expect(found.route.every(({ by }) => by.every(({ relation }) => relation === 'written by'))).toBe(true);
  });
});

it('knows what it does not know', () => {
  const { unknown } = answer('column:products.unit_price');
  expect(unknown[0]).toEqual({
    about: 'column:products.unit_price',
    reason: 'Programs that read the database by themselves, without Millrace, are not known.',
  });
  expect(graph.unknown).toEqual([]);
});

describe('the name of an element', () => {
  const resolved = (name: string) => resolveElement(name, graph, catalog);
  it.each([
    ['products.unit_price', 'column:products.unit_price'],
    ['products.unitPrice', 'column:products.unit_price'],
    ['product.unitPrice', 'column:products.unit_price'],
    ['column:products.unit_price', 'column:products.unit_price'],
    ['shop.purchase', 'event:shop.purchase'],
    ['shop.purchase.v1', 'event:shop.purchase'],
    ['shop.purchase.v1.sku', 'field:shop.purchase.sku'],
    ['customer.spend_minor_90d', 'feature:customer.spend_minor'],
    ['customer.order_share', 'feature:customer.order_share'],
    ['GET /v1/products', 'route:GET /v1/products'],
    ['view:products', 'view:products'],
  ])('%s means %s', (name, id) => {
    expect(resolved(name)).toEqual({ ok: true, id });
  });

  it('may be that of several kinds', () => {
    expect(resolved('products')).toEqual({
      ...{ ok: false, reason: 'ambiguous', near: ['table:products', 'view:products'] },
    });
  });

  it('may be near another', () => {
    expect(resolved('products.unit_prize')).toMatchObject({ near: ['column:products.unit_price'] });
    expect(resolved('unit_price')).toMatchObject({ reason: 'unknown', ok: false });
    expect(resolved('column:unit_price')).toMatchObject({
      near: expect.arrayContaining(['column:products.unit_price']),
    });
    expect(resolved('nothing of the kind')).toEqual({ ok: false, reason: 'unknown', near: [] });
  });

  it('may be any text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (name) => {
        const found = resolved(name);
        expect(found.ok ? graph.nodes.has(found.id) : found.near.length <= 5).toBe(true);
      }),
    );
  });
});

it('knows each metric that a dashboard shows, or that it counts no element', () => {
  /** Figures of the deployment as a whole. */
  const WHOLE = [
    ...['millrace_cache_memory_bytes', 'millrace_counters_dropped_total', 'millrace_isolates'],
    ...['millrace_lineage_lost_total', 'millrace_limited_total', 'millrace_served_predictions_total'],
    ...['millrace_peer_calls_total', 'millrace_peer_call_duration_seconds'],
  ];
  const shown = [...new Set(Object.values(PANELS).flatMap(metricsOf))];
  expect(shown.filter((name) => !graph.nodes.has(`metric:${name}`)).sort()).toEqual(WHOLE.sort());
});
