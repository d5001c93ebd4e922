import type { Assignment, GroupMember, MemberOptions } from '../../backend.ts';
import { RequestError } from '../../errors.ts';
import type { Position } from '../../messages.ts';
import { assign } from './assignment.ts';

interface Group {
  members: Map<string, readonly string[]>;
  assignments: Map<string, Assignment>;
}

/**
 * The assignment of partitions to the members of each group. It is only in memory: all members are instances of this
 * process, so a rebalance is one step, and a restart begins without members.
 */
export class Groups {
  readonly #groups = new Map<string, Group>();
  readonly #topics: () => ReadonlyMap<string, number>;
  readonly #commit: (group: string, positions: readonly Position[]) => Promise<void>;

  constructor(
    topics: () => ReadonlyMap<string, number>,
    commit: (group: string, positions: readonly Position[]) => Promise<void>,
  ) {
    this.#topics = topics;
    this.#commit = commit;
  }

  hasMembers(group: string): boolean {
    return this.#groups.has(group);
  }

  join({ group: name, instance, topics }: MemberOptions): GroupMember {
    const group = this.#groups.get(name) ?? { members: new Map(), assignments: new Map() };
    this.#groups.set(name, group);
    group.members.set(instance, topics);
    this.#rebalance(group);
    return {
      assignment: () => group.assignments.get(instance),
      ready: () => Promise.resolve(),
      commit: async (positions) => {
        if (group.members.get(instance) !== topics) {
          throw new RequestError(409, `${instance} is no longer a member of ${name}.`);
        }
        await this.#commit(name, positions);
      },
      leave: async () => {
        if (group.members.get(instance) !== topics) return;
        group.members.delete(instance);
        if (group.members.size === 0) this.#groups.delete(name);
        else this.#rebalance(group);
      },
    };
  }

  /** Rebalances the groups that subscribe to a created topic, so that they get its partitions. */
  topicCreated(topic: string): void {
    for (const group of this.#groups.values()) {
      if ([...group.members.values()].some((topics) => topics.includes(topic))) this.#rebalance(group);
    }
  }

  #rebalance(group: Group): void {
    const shares = assign(group.members, this.#topics());
    const previous = group.assignments;
    group.assignments = new Map(
      [...shares].map(([member, partitions]) => [
        member,
        { generation: (previous.get(member)?.generation ?? 0) + 1, partitions },
      ]),
    );
  }
}
