export { project } from '../../examples/bike-share/project.ts';
