------------------------------ MODULE Recorded ------------------------------
(***************************************************************************)
(* A recorded run of the simulation, checked to be a behaviour of the      *)
(* model. Trace.tla is generated from the recording (recorded.ts); Log has *)
(* the steps in their order. The model has to take an action that matches  *)
(* each: with the same moments of the clock, the same entries and the same *)
(* values. TLC searches for one way to do so. It has found one if it       *)
(* reports that NotAccepted is violated; it has shown that there is none   *)
(* if it ends without an error.                                            *)
(*                                                                         *)
(* A tick is a millisecond here.                                           *)
(***************************************************************************)
EXTENDS Coherence, Trace

VARIABLE position

Step == Log[position]
Stays == UNCHANGED vars

At(f) == syncs[f][1]
Is(c, step) == c.e = step.e /\ c.s = step.s
Matches(x, y) == x.e = y.e /\ x.s = y.s /\ x.asOf = y.asOf /\ (y.v # -1 => x.v = y.v)
Need(step) == [max |-> step.max, tok |-> Token(step.e, step.s)]
TokenIs(r, x, step) == TokenOf(x, mirror[reader[r].i]) = Token(step.e, step.s)

Invalidates(step) ==
  /\ root.e = step.e /\ root.s + 1 = step.s
  /\ \/ LET C == {c \in AllCommits : commits[c] \subseteq step.tags}
        IN  TagsOf(C) = step.tags /\ InvalidationArrives(C)
     \/ relay.st = "read" /\ TagsOf(relay.batch) = step.tags /\ SweepInvalidates
     \/ \E r \in Readers : /\ reader[r].st = "help"
                           /\ \E C \in SUBSET reader[r].pending : TagsOf(C) = step.tags /\ Helps(r, C)

Marks(step) ==
  LET tok == Token(step.e, step.s)
  IN  \/ relay.st = "invalidated" /\ relay.batch = step.commits /\ relay.tok = tok /\ SweepMarks
      \/ Mark(step.commits, tok) /\ UNCHANGED <<clock, relaying, network, reader, store, history>>

\* A region that syncs has been asked by an isolate, or keeps itself young.
SendsSync(step) ==
  LET asking == {w \in Isolates \X {1} :
                   RegionOf[w[1]] = step.f /\ syncs[w[1]] # <<>> /\ syncs[w[1]][1].st = "sent"}
  IN  \/ step.f \in Isolates /\ Sends(step.f, Need(step))
      \/ step.f \in Regions /\ Sends(step.f, Need(step))
      \/ /\ step.f \in Regions
         /\ \E first \in asking : \E others \in SUBSET (asking \ {first}) :
              syncs[first[1]][1].need = Need(step) /\ RegionSyncs(step.f, first, others)

SyncAnswered(step) ==
  /\ Len(syncs[step.f]) = 1
  /\ IF step.by = "root" THEN Is(root, step) /\ RootAnswers(step.f, 1)
     ELSE \/ At(step.f).st = "answered" /\ Is(At(step.f).answer, step) /\ Stays
          \/ Is(mirror[RegionOf[step.f]], step) /\ RegionAnswers(step.f, 1)

Applies(step) ==
  /\ Len(syncs[step.f]) = 1 /\ Is(At(step.f).answer, step)
  /\ IF step.f \in Regions THEN RegionApplies(step.f, 1) ELSE IsolateApplies(step.f, 1)

Fits(step) ==
  CASE step.do = "tick"       -> Tick(step.n)
    [] step.do = "commit"     -> Commit(step.tags)
    [] step.do = "invalidate" -> Invalidates(step)
    [] step.do = "mark"       -> Marks(step)
    [] step.do = "sweep"      -> SweepReads
    [] step.do = "open"       -> OpenPass(step.p)
    [] step.do = "close"      -> ClosePass(step.p)
    [] step.do = "push"       -> Is(root, step) /\ Push(step.g, step.since)
    [] step.do = "pushed"     -> \E p \in pushes[step.g] : Is(p, step) /\ p.since = step.since /\ PushArrives(step.g, p)
    [] step.do = "send"       -> SendsSync(step)
    [] step.do = "answers"    -> SyncAnswered(step)
    [] step.do = "apply"      -> Applies(step)
    [] step.do = "begin"      -> Begin(step.r, step.i, step.k, step.level, Token(step.e, step.s))
    [] step.do = "look"       -> \/ Ready(step.r) \/ GivesUp(step.r)
                                 \/ reader[step.r].st \in {"fresh", "suspect"} /\ Stays
    [] step.do = "miss"       -> Miss(step.r)
    [] step.do = "refresh"    -> Refresh(step.r, step.i, step.k)
    [] step.do = "stamp"      -> Is(mirror[reader[step.r].i], step) /\ TakesStamp(step.r)
    [] step.do = "data"       -> ReadsData(step.r)
    [] step.do = "report"     -> ReportPending(step.r) \/ ReportKnown(step.r, step.asOf)
    [] step.do = "loaded"     -> \/ reader[step.r].st = "loaded" /\ reader[step.r].asOf = step.asOf /\ Stays
                                 \/ AlreadyInvalidated(step.r, step.asOf)
    [] step.do = "hit"        -> \E x \in store[reader[step.r].k] :
                                   Matches(x, step.x) /\ TokenIs(step.r, x, step) /\ Hit(step.r, x)
    [] step.do = "share"      -> \E x \in store[reader[step.r].k] :
                                   Matches(x, step.x) /\ TokenIs(step.r, x, step) /\ Share(step.r, x)
    [] step.do = "fill"       -> \/ /\ Fills(step.r) /\ Matches(Filled(step.r), step.x)
                                    /\ Filled(step.r) \in store'[reader[step.r].k]
                                    /\ TokenIs(step.r, Filled(step.r), step)
                                 \/ step.x.asOf = -1 /\ step.e = 0 /\ HelpFails(step.r)
    [] step.do = "refreshed"  -> /\ Fills(step.r) /\ Filled(step.r).asOf = step.asOf
                                 /\ Filled(step.r) \in store'[reader[step.r].k]
    [] step.do = "bypass"     -> /\ step.v # -1 => ValueOf(reader[step.r].k, Len(commits)) = step.v
                                 /\ Bypasses(step.r)
    [] step.do = "leave"      -> Leaves(step.r)
    [] step.do = "restart isolate" -> IsolateRestarts(step.f)
    [] step.do = "restart region"  -> RegionRestarts(step.f)
    [] step.do = "restart root"    -> RootRestarts
    [] step.do = "restart relay"   -> RelayRestarts
    [] step.do = "restart origin"  -> Stays
    [] step.do = "reset"           -> RootLosesStorage

RecordedInit == Init /\ position = 1
RecordedNext == position <= Len(Log) /\ Fits(Step) /\ position' = position + 1
RecordedSpec == RecordedInit /\ [][RecordedNext]_<<vars, position>>

NotAccepted == position <= Len(Log)
=============================================================================
