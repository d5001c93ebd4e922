/** What this deployment serves. Replace this folder by your own declarations: `docs/catalog.md`. */
export { catalog } from '../../examples/shop/catalog/index.ts';
