/** The cells that a shard serves, with the names of their features, whether they are packed or not. */
export const SERVED_CELLS = `
  select key, name as feature, bucket, item, amount, last_at as "lastAt", state, retired
  from shard, cells, features where generation = served and feature = features.id
  union all
  select c.key, name, c.bucket, c.item, m.value ->> 1, m.value ->> 2, coalesce(m.value ->> 3, ''), retired
  from shard, cells c, json_each(c.state) m, features
  where c.generation = served and c.feature < 0 and features.id = m.value ->> 0`;
