/** The groups of operations, in the order in which documentation shows them. */
export const TAGS = [
  {
    name: 'views',
    description:
      'Reads of the catalog’s views, answered from the cache while the tag clock says they are current.',
  },
  {
    name: 'writes',
    description: 'Writes of rows. Their answers carry a token; reads that send it show the write.',
  },
  {
    name: 'models',
    description: 'Predictions: for an entity whose features the worker reads, or for raw tensors.',
  },
  {
    name: 'open inference',
    description: 'Models by the Open Inference Protocol, version 2, with its binary tensors.',
  },
  { name: 'features', description: 'The online features of entities.' },
  {
    name: 'feast',
    description:
      'The routes of Feast’s feature server, for its clients: features of rows, and pushes as events.',
  },
  {
    name: 'events',
    description:
      'Change events (CloudEvents 1.0): sending them, their types, their status, and the live feed.',
  },
  {
    name: 'lineage',
    description: 'Which data were derived from which, as a graph and as OpenLineage run events.',
  },
  { name: 'training', description: 'Runs that train a model in the worker.' },
  { name: 'operations', description: 'Metrics and the quality of the events.' },
  {
    name: 'admin',
    description: 'What operators see and change: keys, models, the cache, the quarantine, replays, Kafka.',
  },
  { name: 'health', description: 'Whether the worker and its dependencies answer.' },
  { name: 'description', description: 'What this deployment serves.' },
] as const;
