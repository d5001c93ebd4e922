import type { StoredRun } from '../../storage/postgres/lineage-read.ts';
import { TrainingDetail } from '../lineage/training.ts';
import type { Found } from './found.ts';

/**
 * The versions whose trainings may have learned from the events: of a dataset, or of rows of a table, that may have them.
 *
 * @param typesOf the types that count for the dataset of a model.
 */
export function learnedFrom(
  trainings: readonly StoredRun[],
  { firstSeq, lastSeq, firstRecordedAt, types: erased }: Found,
  typesOf: (model: string) => readonly string[],
): Found['models'] {
  if (firstSeq === null || lastSeq === null || firstRecordedAt === null) return [];
  const mayHave = ({ subject, detail }: StoredRun): boolean => {
    const { dataset, snapshot } = TrainingDetail.parse(detail);
    if (dataset !== undefined) {
      const types = dataset.types.length > 0 ? dataset.types : typesOf(subject);
      return dataset.asOf >= firstRecordedAt && erased.some((type) => types.includes(type));
    }
    if (snapshot === undefined) return false;
    const overlaps = snapshot.firstSeq <= lastSeq && snapshot.lastSeq >= firstSeq;
    return overlaps && snapshot.asOf >= firstRecordedAt;
  };
  return trainings
    .filter((run) => run.job === 'train' && run.state === 'COMPLETE' && mayHave(run))
    .map(({ id: training, subject: model, version }) => ({ model, version, training }));
}
