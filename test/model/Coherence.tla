------------------------------ MODULE Coherence ------------------------------
(***************************************************************************)
(* The coherence protocol of Millrace (docs/coherence.md): a tag clock     *)
(* (root), its mirrors in regions and isolates, fills of cache entries     *)
(* from the database, the outbox with its relay, and readers who ask for   *)
(* one of the levels strong, session and bounded.                          *)
(*                                                                         *)
(* The model is wider than the code wherever that costs nothing: a tier    *)
(* may return any entry that was ever stored or none, every invalidation   *)
(* counts as acknowledged at once, and a message may take for ever. So a   *)
(* promise that holds here does not depend on tiers, timeouts or luck.     *)
(*                                                                         *)
(* A value is the number of the commit that wrote it last: commit 2 is     *)
(* newer than commit 1, and 0 is the absence before the first. An answer   *)
(* is stale if its number is below the number that its level owes.         *)
(*                                                                         *)
(* Time passes in ticks. Only ages are kept, never a time of day, and an   *)
(* age stops at Far, which is more than any bound. So the state space is   *)
(* finite although time has no end.                                        *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets

CONSTANTS
  Tags,          \* what an answer may depend on
  Keys,          \* cache keys
  Deps,          \* Deps[key]: the tags that an answer under the key depends on
  TagSets,       \* the sets of tags that one commit may touch
  Isolates, Regions,
  RegionOf,      \* RegionOf[isolate]: the regional clock that the isolate follows
  Readers,       \* each is one request at a time
  Passes,        \* heartbeats of the relay that may be open at a time
  Levels,        \* of {"strong", "session", "bounded", "refresh"}
  Bound,         \* Bound[key]: the largest age of a mirror that may answer a bounded read, in ticks
  SourceBound,   \* the largest age of the watermark that may do so, in ticks
  Slack,         \* what clocks that drift may add to an age, in ticks; 0 where ticks are exact
  Far,           \* an age that stands for every greater one
  Happens,       \* what else may happen; see Next
  MaxCommits, MaxSeq, MaxEpoch,
  MaxFlight,     \* syncs of one mirror that are under way together
  MaxPushes,     \* pushes to one region that are under way together
  MaxEntries,    \* entries that tiers hold under one key
  Faults         \* deliberate faults; {} is the protocol as it is

VARIABLES
  \* The database: commits with their outbox rows.
  commits,       \* commits[c]: the tags that commit c touched
  marks,         \* marks[c]: the token in the outbox row of c once it is marked as relayed, else NoToken
  \* The root clock.
  root,          \* in memory: epoch e, counter s, changed[tag], age of the watermark
  disk,          \* on disk: counter s, changed[tag]
  peak,          \* peak[e]: the greatest seq that epoch e gave out
  relay,         \* the sweep that is under way
  passes,        \* heartbeats: opened at the root before the sweep that they wait for
  \* Mirrors: regional clocks and isolates.
  mirror,        \* mirror[f]: epoch e, counter s, changed[tag], age, age of the watermark, epochs left
  syncs,         \* syncs[f]: under way to the parent of f, in the order of sending
  pushes,        \* pushes[region]: under way from the root
  \* Readers and tiers.
  reader,
  store,         \* store[key]: the entries in the tiers
  \* What an observer knows who sees everything. The protocol never reads these.
  commitAge,     \* commitAge[c]: ticks since commit c
  ackAge,        \* ackAge[c]: ticks since an invalidation of c was acknowledged, or Never
  invalidatedAt, \* invalidatedAt[e][c]: seq of the first invalidation of c in epoch e, or 0
  shown,         \* shown[e][key][s]: the newest value that an answer with a token <e, s' <= s> showed
  ahead,         \* only with a fault: tags invalidated before their commit
  broken         \* the promises that were broken

database == <<commits, marks>>
clock    == <<root, disk, peak>>
relaying == <<relay, passes>>
network  == <<mirror, syncs, pushes>>
history  == <<commitAge, ackAge, invalidatedAt, shown, ahead, broken>>
vars     == <<database, clock, relaying, network, reader, store, history>>

Followers == Isolates \cup Regions
Epochs    == 1..MaxEpoch
Never     == -1
Fault(f)  == f \in Faults
May(h)    == h \in Happens

Max(a, b) == IF a >= b THEN a ELSE b
Min(a, b) == IF a <= b THEN a ELSE b
Newest(S) == IF S = {} THEN 0 ELSE CHOOSE n \in S : \A m \in S : m <= n
Older(age, ticks) == Min(Far, age + ticks)

Token(e, s) == [e |-> e, s |-> s]
NoToken     == Token(0, 0)

AllCommits    == 1..Len(commits)
Touching(k)   == {c \in AllCommits : commits[c] \cap Deps[k] # {}}
\* The value that a read of key k sees when the first n commits are there.
ValueOf(k, n) == Newest({c \in Touching(k) : c <= n})
Pending       == {c \in AllCommits : marks[c] = NoToken}

Unchanged    == [t \in Tags |-> 0]
FreshMirror  == [e |-> 0, s |-> 0, ch |-> Unchanged, age |-> Far, wm |-> Far, left |-> {}]
NoAnswer     == [e |-> 0]
Idle         == [st |-> "idle"]
NoPass       == [st |-> "none", age |-> 0]
NoSweep      == [st |-> "idle", batch |-> {}, tok |-> NoToken]

Init ==
  /\ commits = <<>> /\ marks = <<>>
  /\ root = [e |-> 1, s |-> 0, ch |-> Unchanged, wm |-> Far]
  /\ disk = [s |-> 0, ch |-> Unchanged]
  /\ peak = [e \in Epochs |-> 0]
  /\ relay = NoSweep
  /\ passes = [p \in Passes |-> NoPass]
  /\ mirror = [f \in Followers |-> FreshMirror]
  /\ syncs = [f \in Followers |-> <<>>]
  /\ pushes = [g \in Regions |-> {}]
  /\ reader = [r \in Readers |-> Idle]
  /\ store = [k \in Keys |-> {}]
  /\ commitAge = <<>> /\ ackAge = <<>>
  /\ invalidatedAt = [e \in Epochs |-> [c \in 1..MaxCommits |-> 0]]
  /\ shown = [e \in Epochs |-> [k \in Keys |-> [s \in 1..MaxSeq |-> 0]]]
  /\ ahead = {}
  /\ broken = {}

-----------------------------------------------------------------------------
(* The root clock (src/cache/clock/clock.ts, root.ts). *)

\* One invalidation: raises seq once for all tags T, and covers the commits C.
\* The caller is the writer, the relay, or a reader whose answer shows C.
RootInvalidates(C, T) ==
  /\ root.s < MaxSeq
  /\ \E raised \in IF Fault("only one tag of a batch") /\ T # {} THEN {{t} : t \in T} ELSE {T} :
     LET s  == root.s + 1
         ch == [t \in Tags |->
                 IF t \in raised /\ (Fault("late change dropped") => root.ch[t] < s - 2)
                   THEN s ELSE root.ch[t]]
     IN  /\ root' = [root EXCEPT !.s = s, !.ch = ch]
         /\ disk' = IF Fault("acknowledged before disk") THEN disk ELSE [s |-> s, ch |-> ch]
         /\ peak' = [peak EXCEPT ![root.e] = Max(@, s)]
         /\ invalidatedAt' = [invalidatedAt EXCEPT ![root.e] =
              [c \in 1..MaxCommits |-> IF c \in C /\ @[c] = 0 THEN s ELSE @[c]]]
         /\ ackAge' = [c \in AllCommits |-> IF c \in C /\ ackAge[c] = Never THEN 0 ELSE ackAge[c]]

TagsOf(C) == UNION {commits[c] : c \in C}

\* An object is evicted and starts again from its disk. Watermarks are in memory only, and a pass of an
\* earlier incarnation no longer counts.
RootRestarts ==
  /\ root' = [root EXCEPT !.s = disk.s, !.ch = disk.ch, !.wm = Far]
  /\ passes' = [p \in Passes |-> NoPass]
  /\ UNCHANGED <<database, disk, peak, relay, network, reader, store, history>>

\* The root's storage is replaced: another epoch begins.
RootLosesStorage ==
  /\ root.e < MaxEpoch
  /\ root' = [e |-> root.e + 1, s |-> 0, ch |-> Unchanged, wm |-> Far]
  /\ disk' = [s |-> 0, ch |-> Unchanged]
  /\ passes' = [p \in Passes |-> NoPass]
  /\ UNCHANGED <<database, peak, relay, network, reader, store, history>>

\* A purge, or an invalidation of a tag that no key here depends on: seq rises.
Unrelated ==
  /\ RootInvalidates({}, {})
  /\ UNCHANGED <<database, relaying, network, reader, store, commitAge, shown, ahead, broken>>

-----------------------------------------------------------------------------
(* Writers (src/pipeline/announced-write.ts) and the relay (relay.ts).     *)
(* A writer that dies, or another application, commits and does no more.   *)

Commit(T) ==
  /\ Len(commits) < MaxCommits
  /\ ahead \in {{}, T}
  /\ commits' = Append(commits, T)
  /\ marks' = Append(marks, NoToken)
  /\ commitAge' = Append(commitAge, 0)
  /\ ackAge' = Append(ackAge, IF Fault("acknowledged before the invalidation") \/ ahead # {} THEN 0 ELSE Never)
  /\ ahead' = {}
  /\ UNCHANGED <<clock, relaying, network, reader, store, invalidatedAt, shown, broken>>

\* With the fault "invalidation before the commit" the writer does this, commits, and is acknowledged.
InvalidateAhead(T) ==
  /\ Fault("invalidation before the commit")
  /\ ahead = {} /\ Len(commits) < MaxCommits
  /\ RootInvalidates({}, T)
  /\ ahead' = T
  /\ UNCHANGED <<database, relaying, network, reader, store, commitAge, shown, broken>>

\* A writer's invalidation arrives, or a late copy of anybody's.
InvalidationArrives(C) ==
  /\ RootInvalidates(C, TagsOf(C))
  /\ UNCHANGED <<database, relaying, network, reader, store, commitAge, shown, ahead, broken>>

\* Outbox rows are marked as relayed with the token of an invalidation that covers them.
Mark(C, tok) ==
  /\ \A c \in C : invalidatedAt[tok.e][c] \in 1..tok.s
  /\ tok.s <= peak[tok.e]
  /\ marks' = [c \in AllCommits |-> IF c \in C /\ marks[c] = NoToken THEN tok ELSE marks[c]]
  /\ UNCHANGED commits

\* The mark is an optimisation: it may be lost, or arrive late.
WriterMarks(c, e) ==
  /\ c \in Pending
  /\ Mark({c}, Token(e, invalidatedAt[e][c]))
  /\ UNCHANGED <<clock, relaying, network, reader, store, history>>

\* A heartbeat opens a pass at the root and then waits for a sweep that begins after it.
OpenPass(p) ==
  /\ passes[p].st = "none"
  /\ passes' = [passes EXCEPT ![p] = [st |-> "open", age |-> 0]]
  /\ UNCHANGED <<database, clock, relay, network, reader, store, history>>

\* A sweep that failed is over when the next one begins, and closes no pass.
SweepReads ==
  /\ LET ends == Pending = {}
     IN  /\ relay' = IF ends THEN NoSweep ELSE [st |-> "read", batch |-> Pending, tok |-> NoToken]
         /\ passes' = [p \in Passes |->
              CASE passes[p].st = "open"  -> [passes[p] EXCEPT !.st = IF ends THEN "done" ELSE "swept"]
                [] passes[p].st = "swept" -> NoPass
                [] OTHER -> passes[p]]
  /\ UNCHANGED <<database, clock, network, reader, store, history>>

SweepInvalidates ==
  /\ relay.st = "read"
  /\ RootInvalidates(relay.batch, TagsOf(relay.batch))
  /\ relay' = [relay EXCEPT !.st = "invalidated", !.tok = Token(root.e, root.s + 1)]
  /\ UNCHANGED <<database, passes, network, reader, store, commitAge, shown, ahead, broken>>

SweepMarks ==
  /\ relay.st = "invalidated"
  /\ Mark(relay.batch, relay.tok)
  /\ relay' = NoSweep
  /\ passes' = [p \in Passes |->
       IF passes[p].st = "swept" THEN [passes[p] EXCEPT !.st = "done"] ELSE passes[p]]
  /\ UNCHANGED <<clock, network, reader, store, history>>

ClosePass(p) ==
  /\ passes[p].st = "done"
  /\ root' = [root EXCEPT !.wm = Min(@, passes[p].age)]
  /\ passes' = [passes EXCEPT ![p] = NoPass]
  /\ UNCHANGED <<database, disk, peak, relay, network, reader, store, history>>

RelayRestarts ==
  /\ relay' = NoSweep
  /\ passes' = [p \in Passes |-> NoPass]
  /\ UNCHANGED <<database, clock, network, reader, store, history>>

-----------------------------------------------------------------------------
(* Mirrors (src/cache/clock/mirror.ts, follower.ts, region.ts). *)

\* What changed after `since`, a moment of the asker; 0 for a tag that the delta leaves out.
Delta(c, since) ==
  LET from == IF since.e = c.e THEN since.s ELSE 0
      least == IF Fault("delta omits the oldest change") THEN from + 1 ELSE from
  IN  [t \in Tags |-> IF c.ch[t] > least THEN c.ch[t] ELSE 0]

\* A version only rises; 0 stands for a tag that the delta leaves out.
Raise(ch, delta) ==
  [t \in Tags |-> IF Fault("version overwritten") /\ delta[t] > 0 THEN delta[t] ELSE Max(ch[t], delta[t])]

Answer(c, age, wm, since) == [e |-> c.e, s |-> c.s, d |-> Delta(c, since), age |-> age, wm |-> wm]

\* A mirror that has left an epoch never returns to it: another clock of the tree may not have heard of the new one.
Returns(m, answer) == answer.e \in m.left /\ ~Fault("returns to an epoch that it left")

\* A mirror after the answer to a sync that was sent `elapsed` ticks ago.
Applied(m, answer, elapsed, isNewest) ==
  LET away == IF Fault("age counted from the answer") THEN 0 ELSE elapsed
      base == IF answer.e = m.e THEN m
              ELSE [m EXCEPT !.e = answer.e, !.s = 0, !.ch = Unchanged, !.age = Far, !.left = (@ \cup {m.e}) \ {0}]
      age  == Older(IF Fault("age of the parent left out") THEN 0 ELSE answer.age, away)
  IN  IF answer.e # m.e /\ (~isNewest \/ Returns(m, answer)) THEN m
      ELSE [base EXCEPT !.s   = Max(@, answer.s),
                        !.ch  = Raise(@, answer.d),
                        !.age = Min(@, age),
                        !.wm  = IF isNewest THEN Older(answer.wm, elapsed) ELSE @]

\* Age 0 is asked for by strong reads alone, and no mirror satisfies that without a sync.
Satisfies(m, need) ==
  /\ need.max > 0 /\ m.age <= need.max + Slack
  /\ need.tok = NoToken \/ (need.tok.e = m.e /\ need.tok.s <= m.s)

\* Whether a request may share a sync that was sent after the request began.
Covers(asked, need) ==
  /\ asked.max <= need.max
  /\ \/ need.tok = NoToken \/ need.max <= 0 \/ asked.max <= 0
     \/ (asked.tok.e = need.tok.e /\ asked.tok.s >= need.tok.s)
     \/ Fault("joins a sync without its token")

Sync(need, m, waiting) ==
  [st |-> "sent", need |-> need, since |-> Token(m.e, m.s), elapsed |-> 0, isOld |-> FALSE,
   waiting |-> waiting, answer |-> NoAnswer]

\* The sync at position n is gone; earlier ones are no longer the newest to be applied.
Without(queue, n, wasApplied) ==
  [m \in 1..(Len(queue) - 1) |->
     IF m < n THEN [queue[m] EXCEPT !.isOld = @ \/ wasApplied] ELSE queue[m + 1]]

LastSync(f) == syncs[f][Len(syncs[f])]

-----------------------------------------------------------------------------
(* Reads (src/cache/read-through.ts, as-of.ts, single-flight.ts).          *)
(* The states of a reader: sync (its mirror is not fresh enough yet), wait *)
(* (for a sync), away (the clock did not answer), fresh (looks through the *)
(* tiers), suspect (its source is behind, so it does not look), gate (waits *)
(* for another's fill), load (has its stamp and asked the database), data  *)
(* (has the data), help (has to invalidate what it saw), loaded.           *)

NeedOf(r) ==
  [max |-> IF reader[r].level = "strong" /\ ~Fault("strong within the bound") THEN 0 ELSE Bound[reader[r].k],
   tok |-> IF Fault("token ignored") THEN NoToken ELSE reader[r].tok]

\* What each level owes a read that begins now.
Owed(k, level, tok) ==
  [strong  |-> IF level # "strong" THEN 0 ELSE Newest({c \in Touching(k) : ackAge[c] # Never}),
   session |-> IF tok = NoToken THEN 0
               ELSE Newest({c \in Touching(k) : invalidatedAt[tok.e][c] \in 1..tok.s}),
   monotonic |-> IF tok = NoToken THEN 0 ELSE shown[tok.e][k][tok.s],
   bounded |-> IF level \notin {"bounded", "session"} THEN 0
               ELSE Newest({c \in Touching(k) : ackAge[c] > Bound[k] + Slack}),
   source  |-> IF level # "bounded" THEN 0
               ELSE Newest({c \in Touching(k) : commitAge[c] > Bound[k] + SourceBound + Slack})]

\* A session may carry any token that anybody was given, by a write or an answer.
Begin(r, i, k, level, tok) ==
  /\ reader[r] = Idle
  /\ reader' = [reader EXCEPT ![r] =
       [st |-> "sync", i |-> i, k |-> k, level |-> level, tok |-> tok, owed |-> Owed(k, level, tok)]]
  /\ UNCHANGED <<database, clock, relaying, network, store, history>>

Readers_(i, st) == {r \in Readers : reader[r].st = st /\ reader[r].i = i}

\* The reader's mirror is fresh enough. A session is refused if its token is unknown to the mirror even so.
Passed(r, m) ==
  IF reader[r].tok # NoToken /\ ~Fault("token ignored") /\ (reader[r].tok.e # m.e \/ reader[r].tok.s > m.s)
  THEN Idle
  ELSE [reader[r] EXCEPT !.st =
         IF reader[r].level = "bounded" /\ m.wm > SourceBound + Slack /\ ~Fault("watermark ignored")
         THEN "suspect" ELSE "fresh"]

\* A token of the current epoch is valid: the root gave it out. It must not be refused.
Refusals(R, m) ==
  IF \E r \in R : Passed(r, m) = Idle /\ reader[r].tok.e = root.e THEN {"refused"} ELSE {}

Ready(r) ==
  /\ reader[r].st \in {"sync", "wait"}
  /\ Satisfies(mirror[reader[r].i], NeedOf(r))
  /\ reader' = [reader EXCEPT ![r] = Passed(r, mirror[reader[r].i])]
  /\ broken' = broken \cup Refusals({r}, mirror[reader[r].i])
  /\ syncs' = [syncs EXCEPT ![reader[r].i] = [n \in DOMAIN @ |-> [@[n] EXCEPT !.waiting = @ \ {r}]]]
  /\ UNCHANGED <<database, clock, relaying, mirror, pushes, store, commitAge, ackAge, invalidatedAt, shown, ahead>>

\* The clock does not answer in time.
GivesUp(r) ==
  /\ reader[r].st \in {"sync", "wait"}
  /\ reader' = [reader EXCEPT ![r].st = "away"]
  /\ syncs' = [syncs EXCEPT ![reader[r].i] = [n \in DOMAIN @ |-> [@[n] EXCEPT !.waiting = @ \ {r}]]]
  /\ UNCHANGED <<database, clock, relaying, mirror, pushes, store, history>>

\* The request ends without an answer that promises anything: cancelled, an error, or marked as stale.
Leaves(r) ==
  /\ reader' = [reader EXCEPT ![r] = Idle]
  /\ syncs' = [f \in Followers |-> [n \in DOMAIN syncs[f] |-> [syncs[f][n] EXCEPT !.waiting = @ \ {r}]]]
  /\ UNCHANGED <<database, clock, relaying, mirror, pushes, store, history>>

\* An isolate sends a sync. All requests that began before and are content with it share it.
Sends(i, need) ==
  LET W == {x \in Readers_(i, "sync") : Covers(need, NeedOf(x))}
  IN  /\ Len(syncs[i]) < MaxFlight
      /\ syncs' = [syncs EXCEPT ![i] = Append(@, Sync(need, mirror[i], W))]
      /\ reader' = [x \in Readers |-> IF x \in W THEN [reader[x] EXCEPT !.st = "wait"] ELSE reader[x]]
      /\ UNCHANGED <<database, clock, relaying, mirror, pushes, store, history>>

ReaderSyncs(r) == reader[r].st = "sync" /\ Sends(reader[r].i, NeedOf(r))

\* A sync that an earlier reader caused, to keep the mirror young.
BackgroundSync(i, need) == mirror[i].e > 0 /\ Sends(i, need)

\* With a fault a reader joins a sync that was sent before it began.
JoinsEarlier(r) ==
  /\ Fault("joins an earlier sync")
  /\ reader[r].st = "sync"
  /\ \E n \in DOMAIN syncs[reader[r].i] :
       /\ Covers(syncs[reader[r].i][n].need, NeedOf(r))
       /\ syncs' = [syncs EXCEPT ![reader[r].i][n].waiting = @ \cup {r}]
       /\ reader' = [reader EXCEPT ![r].st = "wait"]
  /\ UNCHANGED <<database, clock, relaying, mirror, pushes, store, history>>

\* The root answers a region, or an isolate that did not reach its region.
RootAnswers(f, n) ==
  /\ syncs[f][n].st = "sent"
  /\ syncs' = [syncs EXCEPT ![f][n].st = "answered", ![f][n].answer = Answer(root, 0, root.wm, syncs[f][n].since)]
  /\ UNCHANGED <<database, clock, relaying, mirror, pushes, reader, store, history>>

\* A region answers from its mirror where that satisfies the request.
RegionAnswers(i, n) ==
  LET m == mirror[RegionOf[i]]
  IN  /\ syncs[i][n].st = "sent"
      /\ Satisfies(m, syncs[i][n].need)
      /\ syncs' = [syncs EXCEPT ![i][n].st = "answered",
                                ![i][n].answer = Answer(m, m.age, m.wm, syncs[i][n].since)]
      /\ UNCHANGED <<database, clock, relaying, mirror, pushes, reader, store, history>>

\* Otherwise the region syncs with the root; requests of other isolates may share that sync. A waiting request is
\* named by its isolate and its position.
RegionSyncs(g, first, others) ==
  LET all == {first} \cup others
      need == syncs[first[1]][first[2]].need
  IN  /\ Len(syncs[g]) < MaxFlight
      /\ \A w \in all : syncs[w[1]][w[2]].st = "sent" /\ Covers(need, syncs[w[1]][w[2]].need)
      /\ syncs' = [f \in Followers |->
           IF f = g THEN Append(syncs[g], Sync(need, mirror[g], {w[1] : w \in all}))
           ELSE [n \in DOMAIN syncs[f] |-> IF <<f, n>> \in all THEN [syncs[f][n] EXCEPT !.st = "waits"] ELSE syncs[f][n]]]
      /\ UNCHANGED <<database, clock, relaying, mirror, pushes, reader, store, history>>

\* The answer to an isolate's sync arrives: the requests that wait for it go on.
IsolateApplies(i, n) ==
  LET sync == syncs[i][n]
      m == Applied(mirror[i], sync.answer, sync.elapsed, ~sync.isOld)
  IN  /\ sync.st = "answered" /\ ~Returns(mirror[i], sync.answer)
      /\ mirror' = [mirror EXCEPT ![i] = m]
      /\ syncs' = [syncs EXCEPT ![i] = Without(@, n, TRUE)]
      /\ reader' = [r \in Readers |-> IF r \in sync.waiting /\ reader[r].st = "wait" THEN Passed(r, m) ELSE reader[r]]
      /\ broken' = broken \cup Refusals(sync.waiting, m)
      /\ UNCHANGED <<database, clock, relaying, pushes, store, commitAge, ackAge, invalidatedAt, shown, ahead>>

RegionApplies(g, n) ==
  LET sync == syncs[g][n]
      m == Applied(mirror[g], sync.answer, sync.elapsed, ~sync.isOld)
  IN  /\ sync.st = "answered"
      /\ mirror' = [mirror EXCEPT ![g] = m]
      /\ syncs' = [f \in Followers |->
           IF f = g THEN Without(syncs[g], n, TRUE)
           ELSE [x \in DOMAIN syncs[f] |->
             IF syncs[f][x].st = "waits" /\ f \in sync.waiting
             THEN [syncs[f][x] EXCEPT !.st = "answered", !.answer = Answer(m, m.age, m.wm, syncs[f][x].since)]
             ELSE syncs[f][x]]]
      /\ UNCHANGED <<database, clock, relaying, pushes, reader, store, history>>

\* A sync is lost, takes too long, or brings an epoch that the mirror has left. Readers go to the database; a region's askers go to the root.
Freed(queue) == [x \in DOMAIN queue |-> IF queue[x].st = "waits" THEN [queue[x] EXCEPT !.st = "sent"] ELSE queue[x]]
SyncFails(f, n) ==
  /\ May("lost") \/ (syncs[f][n].st = "answered" /\ Returns(mirror[f], syncs[f][n].answer))
  /\ syncs' = [x \in Followers |->
       IF x = f THEN Without(syncs[f], n, FALSE)
       ELSE IF f \in Regions /\ x \in syncs[f][n].waiting THEN Freed(syncs[x]) ELSE syncs[x]]
  /\ reader' = [r \in Readers |->
       IF f \in Isolates /\ r \in syncs[f][n].waiting THEN [reader[r] EXCEPT !.st = "away"] ELSE reader[r]]
  /\ UNCHANGED <<database, clock, relaying, mirror, pushes, store, history>>

\* The root pushes to a region what changed after some earlier moment.
Push(g, since) ==
  /\ Cardinality(pushes[g]) < MaxPushes
  /\ since < root.s
  /\ pushes' = [pushes EXCEPT ![g] = @ \cup
       {[e |-> root.e, since |-> since, s |-> root.s, d |-> Delta(root, Token(root.e, since))]}]
  /\ UNCHANGED <<database, clock, relaying, mirror, syncs, reader, store, history>>

\* A push of another epoch, or one that leaves a gap, is ignored. A push makes no mirror younger.
PushArrives(g, p) ==
  LET m == mirror[g]
      isIgnored == p.e # m.e \/ (m.s < p.since /\ ~Fault("push with a gap"))
  IN  /\ pushes' = [pushes EXCEPT ![g] = @ \ {p}]
      /\ mirror' = IF isIgnored THEN mirror
                   ELSE [mirror EXCEPT ![g].s = Max(@, p.s), ![g].ch = Raise(@, p.d)]
      /\ UNCHANGED <<database, clock, relaying, syncs, reader, store, history>>

\* The reader answers with value v and token tok (NoToken: none). The observer compares v with what was owed.
Answers(r, v, tok) ==
  LET k == reader[r].k
      owed == reader[r].owed
  IN  /\ reader' = [reader EXCEPT ![r] = Idle]
      /\ IF reader[r].level = "refresh" THEN UNCHANGED <<shown, broken>>
         ELSE /\ broken' = broken \cup {rule \in DOMAIN owed : v < owed[rule]}
              /\ shown' = IF tok.s = 0 THEN shown ELSE
                   [shown EXCEPT ![tok.e][k] = [s \in 1..MaxSeq |-> IF s >= tok.s THEN Max(@[s], v) ELSE @[s]]]

\* The token of an answer from entry x: the mirror's seq, or a later one if the entry shows later changes.
TokenOf(x, m) ==
  IF x.asOf = Never THEN NoToken
  ELSE Token(m.e, IF x.e = m.e THEN Max(m.s, Max(x.s, x.asOf)) ELSE m.s)

Valid(x, m, k) ==
  /\ x.e = m.e \/ Fault("epoch ignored")
  /\ \/ \A t \in Deps[k] : m.ch[t] <= x.s
     \/ Fault("negative entry without its tag") /\ x.v = 0

\* A tier has a valid entry.
Hit(r, x) ==
  /\ reader[r].st = "fresh"
  /\ x \in store[reader[r].k]
  /\ Valid(x, mirror[reader[r].i], reader[r].k)
  /\ Answers(r, x.v, TokenOf(x, mirror[reader[r].i]))
  /\ UNCHANGED <<database, clock, relaying, network, store, commitAge, ackAge, invalidatedAt, ahead>>

\* No tier has one, or the source is suspect. The need of a fill is the mirror's moment.
Miss(r) ==
  /\ reader[r].st \in {"fresh", "suspect"}
  /\ LET m == mirror[reader[r].i]
     IN  reader' = [reader EXCEPT ![r] = [st |-> "gate", i |-> @.i, k |-> @.k, level |-> @.level, tok |-> @.tok,
                                          owed |-> @.owed, e |-> m.e, s |-> m.s, suspect |-> @.st = "suspect"]]
  /\ UNCHANGED <<database, clock, relaying, network, store, history>>

\* The gate hands over the entry of another's fill, if its stamp reaches the need. A reader whose source is suspect takes
\* it only if the read began at most both bounds before the reader did, which the gate measures (`maxReadAgeMs`). The
\* model has no clock of the gate, and states what follows: the entry has every commit that was older than both bounds.
Share(r, x) ==
  /\ reader[r].st = "gate"
  /\ x \in store[reader[r].k]
  /\ x.e = reader[r].e
  /\ x.s >= reader[r].s \/ Fault("waiters get an older entry")
  /\ reader[r].suspect => x.v >= reader[r].owed.source \/ Fault("suspect reader takes another's fill")
  /\ Answers(r, x.v, TokenOf(x, mirror[reader[r].i]))
  /\ UNCHANGED <<database, clock, relaying, network, store, commitAge, ackAge, invalidatedAt, ahead>>

\* A fill: first the stamp, then the data, then the outbox's report.
TakesStamp(r) ==
  /\ reader[r].st = "gate"
  /\ LET m == mirror[reader[r].i] IN reader' = [reader EXCEPT ![r] =
       [st |-> "load", i |-> @.i, k |-> @.k, level |-> @.level, tok |-> @.tok, owed |-> @.owed, e |-> m.e, s |-> m.s]]
  /\ UNCHANGED <<database, clock, relaying, network, store, history>>

ReadsData(r) ==
  /\ reader[r].st = "load"
  /\ reader' = [reader EXCEPT ![r] =
       [st |-> "data", i |-> @.i, k |-> @.k, level |-> @.level, tok |-> @.tok, owed |-> @.owed,
        e |-> @.e, s |-> @.s, v |-> ValueOf(@.k, Len(commits))]]
  /\ UNCHANGED <<database, clock, relaying, network, store, history>>

\* What the outbox's report says of epoch e: the greatest seq of its marked rows, and the rows that are pending and touch k.
RelayedSeq(e) == Newest({marks[c].s : c \in {c \in AllCommits : marks[c].e = e}})
Unmarked(k)   == Pending \cap Touching(k)

\* The report lists the other epochs in which rows are marked, and the isolate asks the root whether its own is over.
\* Then no token of it covers such a row. If the root does not answer, the answer has no token either.
MarkedLater(e) == \E c \in AllCommits : marks[c].e > e
MarkedElsewhere(e) == \E c \in AllCommits : marks[c].e \notin {0, e}

\* The stamp of an entry whose reader is at this step.
StampOf(r, isLate) ==
  LET m == mirror[reader[r].i] IN IF isLate THEN Token(m.e, m.s) ELSE Token(reader[r].e, reader[r].s)

Loaded(r, asOf) ==
  LET stamp == StampOf(r, Fault("stamp after the read"))
  IN  [st |-> "loaded", i |-> reader[r].i, k |-> reader[r].k, level |-> reader[r].level, tok |-> reader[r].tok,
       owed |-> reader[r].owed, e |-> stamp.e, s |-> stamp.s, v |-> reader[r].v, asOf |-> asOf]

\* Nothing is pending, or all of that was invalidated in this epoch by now and the isolate knows: it has helped before.
ReportKnown(r, asOf) ==
  LET e == reader[r].e
      P == Unmarked(reader[r].k)
  IN  /\ reader[r].st = "data"
      /\ IF Fault("outbox not asked") THEN asOf = 0
         ELSE IF MarkedLater(e) /\ ~Fault("marks of a newer epoch overlooked") THEN asOf = Never
         ELSE \/ asOf = Never /\ MarkedElsewhere(e) /\ May("lost")
              \/ /\ \A c \in P : invalidatedAt[e][c] > 0
                 /\ asOf \in IF P = {} THEN {RelayedSeq(e)}
                          ELSE Max(RelayedSeq(e), Newest({invalidatedAt[e][c] : c \in P}))..peak[e]
      /\ reader' = [reader EXCEPT ![r] = Loaded(r, asOf)]
      /\ UNCHANGED <<database, clock, relaying, network, store, history>>

\* A pending change touches the answer: the reader invalidates it before it answers.
ReportPending(r) ==
  /\ reader[r].st = "data"
  /\ Unmarked(reader[r].k) # {} /\ ~Fault("outbox not asked")
  /\ reader' = [reader EXCEPT ![r] =
       [st |-> "help", i |-> @.i, k |-> @.k, level |-> @.level, tok |-> @.tok, owed |-> @.owed,
        e |-> @.e, s |-> @.s, v |-> @.v, pending |-> Unmarked(@.k), least |-> RelayedSeq(@.e)]]
  /\ UNCHANGED <<database, clock, relaying, network, store, history>>

\* A reader leaves out what its isolate has invalidated before. A token of another epoch than the entry's cannot be
\* compared, so such an answer has none.
Helps(r, C) ==
  /\ reader[r].st = "help"
  /\ C \subseteq reader[r].pending
  /\ \A c \in reader[r].pending \ C : invalidatedAt[reader[r].e][c] > 0
  /\ RootInvalidates(C, TagsOf(C))
  /\ reader' = [reader EXCEPT ![r] = Loaded(r, IF root.e = reader[r].e THEN root.s + 1 ELSE Never)]
  /\ UNCHANGED <<database, relaying, network, store, commitAge, shown, ahead, broken>>

\* By the time that the report arrives, another request of the isolate has invalidated all that was pending.
AlreadyInvalidated(r, asOf) ==
  /\ reader[r].st = "help"
  /\ LET e == reader[r].e
         P == reader[r].pending
     IN  /\ \A c \in P : invalidatedAt[e][c] > 0
         /\ asOf \in Max(reader[r].least, Newest({invalidatedAt[e][c] : c \in P}))..peak[e]
  /\ reader' = [reader EXCEPT ![r] = Loaded(r, asOf)]
  /\ UNCHANGED <<database, clock, relaying, network, store, history>>

\* The entry of a fill is stored, or its write to the tiers is lost. A full tier drops an older one.
Stored(k, x) ==
  \/ UNCHANGED store
  \/ /\ x \notin store[k]
     /\ \E gone \in IF Cardinality(store[k]) < MaxEntries THEN {{}} ELSE {{y} : y \in store[k]} :
          store' = [store EXCEPT ![k] = (@ \ gone) \cup {x}]

\* The fill ends: its entry is stored, and its reader is answered.
Filled(r) ==
  LET stamp == StampOf(r, Fault("stamp at the write"))
  IN  [e |-> stamp.e, s |-> stamp.s, v |-> reader[r].v, asOf |-> reader[r].asOf]

Fills(r) ==
  /\ reader[r].st = "loaded"
  /\ Answers(r, Filled(r).v, TokenOf(Filled(r), mirror[reader[r].i]))
  /\ Stored(reader[r].k, Filled(r))
  /\ UNCHANGED <<database, clock, relaying, network, commitAge, ackAge, invalidatedAt, ahead>>

\* The root does not answer: the answer carries no token and is not stored.
HelpFails(r) ==
  /\ reader[r].st = "help"
  /\ Answers(r, reader[r].v, NoToken)
  /\ UNCHANGED <<database, clock, relaying, network, store, commitAge, ackAge, invalidatedAt, ahead>>

\* Without the clock a read answers from the database and stores nothing.
Bypasses(r) ==
  /\ reader[r].st = "away"
  /\ Answers(r, ValueOf(reader[r].k, Len(commits)), NoToken)
  /\ UNCHANGED <<database, clock, relaying, network, store, commitAge, ackAge, invalidatedAt, ahead>>

\* With the fault it answers from a tier, unless its mirror knows better.
FailsOpen(r) ==
  /\ Fault("fails open") /\ reader[r].st = "away"
  /\ \E x \in store[reader[r].k] :
       /\ mirror[reader[r].i].e = 0 \/ Valid(x, mirror[reader[r].i], reader[r].k)
       /\ Answers(r, x.v, NoToken)
  /\ UNCHANGED <<database, clock, relaying, network, store, commitAge, ackAge, invalidatedAt, ahead>>

\* A refill behind an answer (early refresh, eventual readers, warming): it waits for no sync.
Refresh(r, i, k) ==
  /\ reader[r] = Idle /\ mirror[i].e > 0
  /\ reader' = [reader EXCEPT ![r] =
       [st |-> "gate", i |-> i, k |-> k, level |-> "refresh", tok |-> NoToken, owed |-> Owed(k, "refresh", NoToken),
        e |-> mirror[i].e, s |-> mirror[i].s, suspect |-> FALSE]]
  /\ UNCHANGED <<database, clock, relaying, network, store, history>>

\* An isolate is evicted, with everything in its memory and every request in it. Its region answers nobody.
IsolateRestarts(i) ==
  /\ mirror' = [mirror EXCEPT ![i] = FreshMirror]
  /\ syncs' = [f \in Followers |-> IF f = i THEN <<>>
       ELSE [n \in DOMAIN syncs[f] |-> IF f = RegionOf[i] THEN [syncs[f][n] EXCEPT !.waiting = @ \ {i}] ELSE syncs[f][n]]]
  /\ reader' = [r \in Readers |-> IF reader[r] # Idle /\ reader[r].i = i THEN Idle ELSE reader[r]]
  /\ UNCHANGED <<database, clock, relaying, pushes, store, history>>

RegionRestarts(g) ==
  /\ mirror' = [mirror EXCEPT ![g] = FreshMirror]
  /\ syncs' = [f \in Followers |-> IF f = g THEN <<>>
       ELSE IF f \in Isolates /\ RegionOf[f] = g THEN Freed(syncs[f]) ELSE syncs[f]]
  /\ UNCHANGED <<database, clock, relaying, pushes, reader, store, history>>

-----------------------------------------------------------------------------
(* Time. *)

Tick(n) ==
  LET aged(queue) == [x \in DOMAIN queue |-> [queue[x] EXCEPT !.elapsed = Older(@, n)]]
  IN  /\ root' = [root EXCEPT !.wm = Older(@, n)]
      /\ mirror' = [f \in Followers |-> [mirror[f] EXCEPT !.age = Older(@, n), !.wm = Older(@, n)]]
      /\ syncs' = [f \in Followers |-> aged(syncs[f])]
      /\ passes' = [p \in Passes |-> IF passes[p].st = "none" THEN NoPass ELSE [passes[p] EXCEPT !.age = Older(@, n)]]
      /\ commitAge' = [c \in AllCommits |-> Older(commitAge[c], n)]
      /\ ackAge' = [c \in AllCommits |-> IF ackAge[c] = Never THEN Never ELSE Older(ackAge[c], n)]
      /\ UNCHANGED <<database, disk, peak, relay, pushes, reader, store, invalidatedAt, shown, ahead, broken>>

-----------------------------------------------------------------------------

TokensGiven == {NoToken} \cup {Token(e, s) : e \in Epochs, s \in 1..MaxSeq}
Asks == {<<level, NoToken>> : level \in Levels \cap {"strong", "bounded"}}
  \cup (IF "session" \in Levels THEN {<<"session", t>> : t \in {t \in TokensGiven : t.s > 0 /\ t.s <= peak[t.e]}} ELSE {})

Writes ==
  \/ \E T \in TagSets : Commit(T) \/ InvalidateAhead(T)
  \/ \E c \in AllCommits : InvalidationArrives({c}) \/ (May("mark") /\ \E e \in Epochs : WriterMarks(c, e))
  \/ May("unrelated") /\ Unrelated

Relays ==
  \/ May("relay") /\ ((relay.st = "idle" /\ SweepReads) \/ SweepInvalidates \/ SweepMarks)
  \/ May("relay") /\ \E p \in Passes : OpenPass(p) \/ ClosePass(p)
  \/ May("relay restarts") /\ relay # NoSweep /\ RelayRestarts

Syncs ==
  \/ \E r \in Readers : Ready(r) \/ ReaderSyncs(r) \/ JoinsEarlier(r)
  \/ May("background") /\ \E i \in Isolates : \E k \in Keys :
       BackgroundSync(i, [max |-> Bound[k], tok |-> NoToken])
  \/ \E f \in Followers : \E n \in DOMAIN syncs[f] :
       /\ f \in Isolates => May("direct")
       /\ RootAnswers(f, n)
  \/ \E i \in Isolates : \E n \in DOMAIN syncs[i] : RegionAnswers(i, n) \/ IsolateApplies(i, n)
  \/ \E g \in Regions : \E n \in DOMAIN syncs[g] : RegionApplies(g, n)
  \/ \E g \in Regions :
       LET asking == {w \in Isolates \X (1..MaxFlight) :
                        RegionOf[w[1]] = g /\ w[2] \in DOMAIN syncs[w[1]] /\ syncs[w[1]][w[2]].st = "sent"}
       IN  \E first \in asking : \E others \in SUBSET (asking \ {first}) : RegionSyncs(g, first, others)
  \/ \E f \in Followers : \E n \in DOMAIN syncs[f] : SyncFails(f, n)
  \/ \E g \in Regions : (\E since \in 0..MaxSeq : Push(g, since)) \/ (\E p \in pushes[g] : PushArrives(g, p))

Reads ==
  \/ \E r \in Readers, i \in Isolates, k \in Keys :
       \/ \E ask \in Asks : Begin(r, i, k, ask[1], ask[2])
       \/ "refresh" \in Levels /\ Refresh(r, i, k)
  \/ \E r \in Readers :
       \/ reader[r] # Idle /\ \E x \in store[reader[r].k] : Hit(r, x) \/ Share(r, x)
       \/ Miss(r) \/ TakesStamp(r) \/ ReadsData(r)
       \/ reader[r].st = "data" /\ \E asOf \in Never..MaxSeq : ReportKnown(r, asOf)
       \/ reader[r].st = "help" /\ \E asOf \in 1..MaxSeq : AlreadyInvalidated(r, asOf)
       \/ ReportPending(r) \/ (reader[r].st = "help" /\ Helps(r, reader[r].pending)) \/ Fills(r) \/ Bypasses(r) \/ FailsOpen(r)
       \/ May("lost") /\ HelpFails(r)

Restarts ==
  \/ May("isolate restarts") /\ \E i \in Isolates : mirror[i] # FreshMirror /\ IsolateRestarts(i)
  \/ May("region restarts") /\ \E g \in Regions : mirror[g] # FreshMirror /\ RegionRestarts(g)
  \/ May("root restarts") /\ RootRestarts
  \/ May("root loses storage") /\ RootLosesStorage

Next == Writes \/ Relays \/ Syncs \/ Reads \/ Restarts \/ (May("tick") /\ Tick(1))

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* The promises, in the words of docs/coherence.md. *)

\* strong: reflects every invalidation acknowledged before the request began.
StrongReads == "strong" \notin broken
\* session: reflects every invalidation up to the token,
ReadYourWrites == "session" \notin broken
\* and every change that an answer with that token, or an earlier one, showed to anybody.
MonotonicReads == "monotonic" \notin broken
\* bounded: reflects every invalidation acknowledged more than the bound ago,
BoundedReads == "bounded" \notin broken
\* and every commit older than that plus the bound of the source, whoever made it.
SourceBoundedReads == "source" \notin broken
\* A token that the root of this epoch gave out is never refused.
ValidTokensAccepted == "refused" \notin broken

(* Why they hold. *)

\* Nothing is stored as valid that is stale under the clock.
StoredIsCurrent ==
  \A k \in Keys : \A x \in store[k] :
    Valid(x, root, k) => \A c \in Touching(k) : invalidatedAt[root.e][c] > 0 => x.v >= c
\* seq of a mirror rises only together with everything that was invalidated up to it.
MirrorsAreComplete ==
  \A f \in Followers : mirror[f].e = root.e => \A t \in Tags : root.ch[t] <= mirror[f].s => mirror[f].ch[t] >= root.ch[t]
\* The age of a mirror bounds what it may not know.
AgesAreBounds ==
  \A f \in Followers : mirror[f].e = root.e => \A c \in AllCommits :
    (ackAge[c] > mirror[f].age /\ invalidatedAt[root.e][c] > 0) => invalidatedAt[root.e][c] <= mirror[f].s
\* Everything committed before a watermark has been invalidated.
WatermarksAreTrue ==
  \A c \in AllCommits : commitAge[c] > root.wm => ackAge[c] # Never

Promises == StrongReads /\ ReadYourWrites /\ MonotonicReads /\ BoundedReads /\ SourceBoundedReads /\ ValidTokensAccepted
=============================================================================
