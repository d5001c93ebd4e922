/** Parses server-sent events (HTML Living Standard §9.2) piece by piece; lines may be cut anywhere. Data is JSON. */
export function eventParser(take: (name: string, data: unknown) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const lines = block.split('\n');
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field('data');
      if (data !== undefined) take(field('event') ?? 'message', JSON.parse(data));
    }
  };
}

/** Takes the events of a stream until it ends. @throws the error of the stream. */
export async function readEvents(
  body: ReadableStream<BufferSource>,
  take: (name: string, data: unknown) => void,
): Promise<void> {
  const parse = eventParser(take);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) parse(part.value);
}
