import { eq } from 'drizzle-orm';
import { pgSchema, text } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { entity } from '../../../src/define/entity.ts';
import { view } from '../../../src/define/view.ts';

/** A catalog whose only table belongs to another application; Millrace has no migration of it. */

const crm = pgSchema('crm');
const customers = crm.table('customers', {
  id: text('id').primaryKey(),
  country: text('country').notNull(),
});

const customer = entity({
  name: 'customer',
  table: customers,
  key: customers.id,
  lists: { byCountry: { orderBy: customers.id, filter: [customers.country] } },
});

const Customer = z.object({ id: z.string(), country: z.string() });

const customerPage = view({
  name: 'customer',
  path: '/v1/customers/{id}',
  public: true,
  description: 'One customer of the other application.',
  params: customer.params,
  response: Customer,
  load: async (db, { id }) => {
    const { country } = customers;
    const [row] = await db.select({ id: customers.id, country }).from(customers).where(eq(customers.id, id));
    return row ?? null;
  },
  tags: ({ id }) => [customer.row(id)],
});

const customerList = view({
  name: 'customers',
  path: '/v1/customers',
  public: true,
  description: 'The customers of a country.',
  query: { country: z.string() },
  response: z.object({ customers: z.array(Customer) }),
  load: async (db, { country }) => {
    const select = { id: customers.id, country: customers.country };
    const { rows, tags } = await customer.lists.byCountry.read(db, {
      filter: { country },
      limit: 50,
      select,
    });
    return { customers: rows, tags };
  },
  tags: (_query, page) => page?.tags ?? [],
});

export const catalog = defineCatalog({ catalog: { customer, customerPage, customerList } });
