import type { ModelDefinition } from '../define/model.ts';
import type { Loaded } from '../define/view.ts';
import type { PredictPorts } from '../inference/predict.ts';
import { contextOfRun } from '../platform/tracing/run-trace.ts';
import { type Span, within } from '../platform/tracing/span.ts';
import type { ChampionPorts } from './champion.ts';

/** Makes an answer of a model in a span, which says what made it. */
export async function predictInSpan<Answer extends Pick<Loaded, 'value'>>(
  parent: Span,
  { name, task }: Pick<ModelDefinition, 'name' | 'task'>,
  predict: (span: Span) => Promise<Answer>,
): Promise<Answer> {
  const attributes = { 'millrace.model': name, 'millrace.model.task': task };
  return await within(parent, { name: `predict ${name}`, attributes }, async (span) => {
    const loaded = await predict(span);
    if (span.isRecording) span.set(attributesOf(loaded.value));
    return loaded;
  });
}

/** Names the training of the version that answers, where Millrace has trained it. */
export function namingTraining<Ports extends Pick<PredictPorts, 'champion'>>(
  ports: Ports,
  span: Span,
): Ports {
  if (!span.isRecording) return ports;
  const champion: PredictPorts['champion'] = async () => {
    const found = await ports.champion();
    const training = contextOfRun(found?.manifest.trainedFrom['run']);
    if (training !== undefined) span.link(training);
    return found;
  };
  return { ...ports, champion };
}

/** The ports of a prediction, whose calls are within a span. */
export function portsIn<Ports extends ChampionPorts>(ports: Ports, span: Span): Ports {
  return span.isRecording ? { ...ports, ...ports.within?.(span) } : ports;
}

/** What an answer says of its making, and nothing of whom it is about. */
function attributesOf(value: unknown) {
  const field = (of: unknown, name: string): unknown =>
    typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined;
  const text = (of: unknown) => (typeof of === 'string' ? of : undefined);
  return {
    'millrace.model.version': text(field(field(value, 'model'), 'version')),
    'millrace.model.source': text(field(value, 'source')),
    'millrace.model.degraded': text(field(value, 'degraded')),
  };
}
