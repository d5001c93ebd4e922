-------------------------------- MODULE Live --------------------------------
(***************************************************************************)
(* What happens in the end, under stated assumptions of fairness. WF (weak *)
(* fairness) of a step: it does not stay possible for ever without being   *)
(* taken. SF (strong fairness): it is not possible again and again for     *)
(* ever without being taken.                                               *)
(***************************************************************************)
EXTENDS Checked

(* Every read ends, whatever hangs. Fair are only the steps that a reader  *)
(* takes by itself within a deadline: the time limits of a sync and of an  *)
(* invalidation, and the database, whose statements have a limit too. The  *)
(* root, regions, the relay and the network may stop for ever.             *)
OwnStep(r) ==
  \/ GivesUp(r) \/ Bypasses(r)
  \/ Miss(r) \/ TakesStamp(r) \/ ReadsData(r)
  \/ ReportPending(r) \/ (\E asOf \in Never..MaxSeq : ReportKnown(r, asOf))
  \/ HelpFails(r) \/ Fills(r)

DeadlineSpec ==
  /\ Init /\ [][Next \/ \E r \in Readers : GivesUp(r) \/ HelpFails(r)]_vars
  /\ \A r \in Readers : WF_vars(OwnStep(r))

ReadsEnd == \A r \in Readers : (reader[r] # Idle) ~> (reader[r] = Idle)

(* No reader waits for ever for a sync that it may not join. Nothing gives *)
(* up here. Fair are the answers of root and regions and their arrival,    *)
(* and a reader sends its sync in the end although others of the isolate   *)
(* send theirs first (strong fairness: each of them leaves room again).    *)
SyncSpec ==
  /\ Init /\ [][Next]_vars
  /\ \A r \in Readers : WF_vars(Ready(r)) /\ SF_vars(ReaderSyncs(r))
  /\ \A f \in Followers : \A n \in 1..MaxFlight :
       /\ WF_vars(n \in DOMAIN syncs[f] /\ (f \in Regions) /\ RootAnswers(f, n))
       /\ WF_vars(n \in DOMAIN syncs[f] /\ (f \in Regions) /\ RegionApplies(f, n))
       /\ WF_vars(n \in DOMAIN syncs[f] /\ (f \in Isolates) /\ IsolateApplies(f, n))
  /\ \A i \in Isolates : \A n \in 1..MaxFlight :
       SF_vars(/\ n \in DOMAIN syncs[i]
               /\ \/ RegionAnswers(i, n)
                  \/ syncs[i][n].st = "sent" /\ RegionSyncs(RegionOf[i], <<i, n>>, {}))

SyncsArrive == \A r \in Readers : (reader[r] # Idle /\ reader[r].st \in {"sync", "wait"})
                 ~> (reader[r] = Idle \/ reader[r].st \notin {"sync", "wait"})

(* Every commit is invalidated and marked, also if its writer died. Fair   *)
(* is the relay: it sweeps again and again, and not every sweep is cut off *)
(* by a restart. The counter of the model ends at MaxSeq; a run that has    *)
(* used it up, on other invalidations, shows nothing.                      *)
RelaySpec ==
  /\ Init /\ [][Next]_vars
  /\ WF_vars(relay.st = "idle" /\ Pending # {} /\ SweepReads)
  /\ SF_vars(SweepInvalidates) /\ SF_vars(SweepMarks)

CommitsAreInvalidated ==
  \A c \in 1..MaxCommits : (c \in AllCommits)
    ~> (root.s = MaxSeq \/ (c \in AllCommits /\ ackAge[c] # Never /\ marks[c] # NoToken))
=============================================================================
