/**
 * The models that answer from the features of an entity. A model is an ONNX graph that is published to the running
 * deployment: docs/catalog.md shows how one is declared, and `models` in project.ts says where its first version
 * comes from.
 */
export {};
