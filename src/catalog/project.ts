export { project } from '../../examples/shop/project.ts';
