import type { Fault } from '../../simulation/faults.ts';

const JOIN = 'src/features/point-in-time.ts';
const HISTORY = 'src/features/join-history.ts';

function fault(name: string, file: string, from: string, to: string): Omit<Fault, 'seedsMax'> {
  return { name, edits: [{ file, from, to }] };
}

/** Faults by which a value of the future gets into a training set, or a value of the past is missing. */
export const FAULTS: readonly Omit<Fault, 'seedsMax'>[] = [
  fault(
    'an event counts from when it happened, although it was not known yet',
    JOIN,
    "order === 'happened' ? occurredAt : Math.max(occurredAt, recordedAt)",
    'order === undefined ? recordedAt : occurredAt',
  ),
  fault('a fixed knowledge time is ignored', JOIN, 'event.recordedAt <= track.known', 'track.known > 0'),
  fault(
    'an event stored at the knowledge time is not known',
    JOIN,
    'event.recordedAt <= track.known',
    'event.recordedAt < track.known',
  ),
  fault(
    'an event of the moment itself does not count',
    JOIN,
    'endOf(next) >= moment',
    'endOf(next) > moment',
  ),
  fault(
    'the event of the moment counts although the row leaves it out',
    JOIN,
    'return isBefore ? at - 1 : at;',
    'return isBefore ? at : at;',
  ),
  fault(
    'the windows end one tile in the future',
    JOIN,
    'tilesRead(slot, at).from;',
    'tilesRead(slot, at + slot.tileMs).from;',
  ),
  fault(
    'a request is answered only when the key has no further event',
    JOIN,
    '      this.#answerUntil(track, this.#moment);\n',
    '',
  ),
  fault(
    'cells are read as of the last event',
    JOIN,
    'track.cells.values()], next.at)',
    'track.cells.values()], this.#moment)',
  ),
  fault(
    'requests of different knowledge times share their cells',
    JOIN,
    'JSON.stringify([entity, key, known ?? null])',
    'JSON.stringify([entity, key])',
  ),
  fault(
    'keys of two entities are one',
    JOIN,
    'return `$' + '{entity}:$' + '{key}`;',
    'return key + entity.slice(0, 0);',
  ),
  fault('an event that is read twice counts twice', JOIN, 'if (this.#taken.has(event.seq)) return;', ''),
  fault(
    'events that were stored before they happened are left out',
    HISTORY,
    "(['recorded', 'early'] as const)",
    "(['recorded'] as const)",
  ),
  fault(
    'the second page of a stream is left out',
    HISTORY,
    '      if (done === true) heads',
    '      if (done !== undefined) heads',
  ),
  fault(
    'history is read from the last moment on',
    HISTORY,
    'return -maximumOf(requests.map(({ at }) => -at)) - longestMs;',
    'return maximumOf(requests.map(({ at }) => at)) - longestMs;',
  ),
];
