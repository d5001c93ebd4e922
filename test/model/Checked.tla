------------------------------- MODULE Checked -------------------------------
(* Values of the constants that a configuration file cannot write down. *)
EXTENDS Coherence, TLC

OnlyTagT  == [k \in Keys |-> {"t"}]
OneRegion == [i \in Isolates |-> CHOOSE g \in Regions : TRUE]
NoRegion  == [i \in Isolates |-> i]

OneTick   == [k \in Keys |-> 1]

\* Readers differ in nothing but their names.
Interchangeable == Permutations(Readers)
=============================================================================
