import { expect, it } from 'vitest';
import { answerOf } from '../../../../src/operations/impact/answer.ts';
import { edgesNotFound, graphOf } from '../../../../test/support/impact.ts';
import { BIKE_SHARE } from '../served.ts';

const graph = await graphOf(BIKE_SHARE.catalog);

it('knows what each view and each event of the bike-share reads and writes', () => {
  expect(graph.unknown).toEqual([]);
  expect(edgesNotFound(graph, graph.edges)).toEqual([]);
});

it('finds what the capacity of a station concerns', () => {
  const { found, writers } = answerOf(graph, 'column:stations.capacity', 'down');
  expect(found.view.map(({ name }) => name).sort()).toEqual(['station', 'stations']);
  expect(found.feature.map(({ name }) => name).sort()).toEqual([
    ...['station.capacity', 'station.departures_per_dock_1d'],
  ]);
  expect(writers.map(({ from }) => from)).toContain('route:PUT /v1/stations/{id}');
});

it('finds what the minutes of a ride concern, a model included', () => {
  const { found } = answerOf(graph, 'field:bikes.ride.minutes', 'down');
  expect(found.model.map(({ name }) => name)).toEqual(['ride-minutes']);
  expect(found.view.map(({ name }) => name).sort()).toEqual(expect.arrayContaining(['rider', 'rider-rides']));
});
