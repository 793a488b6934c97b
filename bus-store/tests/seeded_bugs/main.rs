//! The laws are laws only if breaking them is noticed: stores that are broken on purpose, each in one way, and the
//! law that catches each of them, by name.

mod broken;

use bus_store::conformance::{LAWS, Law, Verdict};

use broken::Seeded;

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// Nothing: the store that is broken in no way keeps every law.
    None,
    /// Of several tasks of one commit, the last is acknowledged and not written.
    DropsADelivery,
    /// A claim brings again what the one before it brought.
    ClaimsTwice,
    /// The first two of a key are claimed in the wrong order.
    ReordersTwoOfAKey,
    /// A former owner can settle.
    ForgetsFencing,
    /// What arrived between the look-up and the wait wakes nobody.
    ForgetsToLookAgain,
    /// The tasks of a refused commit are written.
    WritesHalfACommit,
    /// Nobody hears the doorbell.
    LosesTheDoorbell,
    /// An interruption costs no attempt.
    ForgetsTheInterruptedAttempt,
    /// Attempts that are to be given back are charged.
    ChargesWhatIsReleased,
    /// What is displaced is not named.
    ForgetsTheDisplaced,
    /// What is parked lets later ones of its key pass.
    ParksBesideTheKey,
    /// What steps aside holds its key.
    StepsAsideInPlace,
    /// What is due in less than a second is due.
    IsEarly,
    /// Nothing says when something becomes due.
    ForgetsTheNextDueTime,
    /// Bytes are taken for text.
    TakesBytesForText,
    /// Times are kept in whole seconds.
    RoundsTimes,
    /// The bindings of objects that are gone are answered.
    KnowsTheGone,
    /// An object is called what a former one of its id was.
    InheritsBindings,
    /// A binding that is to contradict nothing takes the place of what it contradicts.
    BindsWhateverIsThere,
    /// A binding ends, whatever it says by then.
    EndsWhateverIsBound,
    /// Numbers are given from one, whatever was saved.
    RepeatsNumbers,
    /// Thinks that what lives elsewhere is gone.
    ForgetsWhatLivesElsewhere,
    /// Late settlements are not counted.
    ForgetsTheLate,
    /// Goes on after it was closed.
    NeverCloses,
    /// Who gave a queue up goes on as before.
    ForgetsThatItWasReleased,
    /// What was charged before is claimed with others.
    ClaimsTheChargedTogether,
    /// What is due comes first, whatever is wanted.
    AlwaysBringsTheDueFirst,
    ClaimsAheadOfTheDue,
    /// What is deferred has failed.
    ChargesWhatIsDeferred,
    /// How often something was deferred is not told.
    ForgetsTheDeferrals,
    /// What stepped aside does not know what overtook it.
    ForgetsWhatOvertook,
    /// No queue keeps order beyond each key.
    LetsOthersOvertakeInAQueueInOrder,
    /// What waits holds a queue that is in order.
    LetsWhatWaitsHoldTheQueue,
    /// A claim brings again what was claimed with the commit that logged it.
    ClaimsAgainWhatWasHandedOver,
    /// Whoever is handed the only new delivery is rung for, too.
    RingsForWhatIsHandedOver,
    /// What is for a former owner is handed to the present one.
    HandsOverForAFormerOwner,
    /// A key is forgotten once anything has ended.
    ForgetsKeysTooEarly,
    /// Any digest is the right one.
    ForgetsTheDigest,
    /// What is repeated is not said to be.
    ForgetsWhatIsRepeated,
    /// What ended is gone.
    DropsHistory,
    /// Everything that ended is pruned, also what ended later.
    PrunesTooMuch,
    /// What was pruned is in the audit still.
    AuditsTheCountersOnly,
    /// An audit misses an open delivery.
    AuditsWrong,
    /// What was never called can be skipped.
    SkipsWhatWasNeverCalled,
    /// What is blocked is said to have been retried.
    RetriesWhatIsBlocked,
    /// A retry by hand gives no attempts back.
    ForgetsToResetTheBudget,
    /// What runs is ended by hand.
    EndsWhatRuns,
    /// Whatever was seen is taken for what is.
    IgnoresWhatWasSeen,
    /// Nobody did anything.
    ForgetsWhoDidIt,
    /// Ending a create says nothing of the later ones.
    EndsACreateInSilence,
    /// An intervention of any size is carried out.
    CarriesOutAnyNumber,
    /// What something stands behind is not told.
    ForgetsWhatBlocks,
    /// A list is of every key.
    ListsEveryKey,
    /// The key's deliveries are found whatever the key.
    FindsAllForAnyKey,
    /// A key never waits.
    ForgetsWhatAKeyWaitsFor,
    /// Errors are cut within a character.
    CutsWithinACharacter,
    /// Open deliveries are discarded with their connector.
    DeletesWithOpenDeliveries,
    /// What is logged for a deleted connector is open.
    LogsForTheDeleted,
    /// The circuit of a deleted connector stays.
    KeepsTheCircuitOfTheDeleted,
    /// Circuits are closed to whoever asks.
    ForgetsCircuits,
    /// What a transaction that was rolled back has left is there.
    KeepsWhatWasRolledBack,
    /// Any entries are relayed, whatever stands before them.
    RelaysWhatItIsTold,
    /// What was relayed is there still.
    KeepsWhatWasRelayed,
    /// Sets aside what nobody is to be told of.
    ParksWhatConcernsNobody,
    /// An entry that was left twice is logged twice.
    LogsAnEntryAgain,
    /// The text of what is parked is gone.
    ForgetsWhatItParks,
    /// What is put back stands behind all others.
    PutsBackAtTheEnd,
    /// Whatever site is named is registered by that.
    TakesAnySite,
    /// A site goes, whatever is in it.
    RemovesSitesInUse,
    /// An assignment leaves the version of its object as it is.
    RaisesNoVersion,
    /// An assignment expects no version.
    AssignsWhateverIsThere,
    /// What was assigned once is assigned for good, to whatever object of that id.
    KeepsAssignmentsOfTheGone,
    /// Who waits for an outcome is not woken by it.
    WakesNobodyByAnOutcome,
    WakesNobodyByAPage,
    /// What has come back can come back again.
    HearsForEver,
    /// Nothing of an object is ever said to be claimed.
    HidesWhatIsClaimed,
    /// What a settlement leaves in doubt is not kept.
    ForgetsDoubts,
    /// Has it tried again, and does not keep what was decided.
    ForgetsDecisions,
    /// Goes through the nodes from the first one each time.
    WalksPagesInCircles,
    /// Lists the first page again and again.
    ListsConflictsFromTheStart,
    /// That an operator had what is in doubt tried all the same is not told.
    ForgetsThatItWasTriedAnyway,
    /// What is in doubt and not claimed is taken for settled.
    ForgetsWhatIsInDoubt,
    /// A page is saved over whatever is there.
    SavesPagesWhateverIsThere,
    /// A path is found only as it is written.
    FindsPathsAsWritten,
    /// What is beneath a path is what its pattern says.
    TakesAliasesForPatterns,
    /// What a writer believes to be there is not looked at, where nothing is written.
    ChecksNothing,
    /// A chunk of a resync is logged, and the resync stays where it was.
    LogsAChunkWithoutItsPlace,
    /// A chunk is logged, wherever the resync is by then.
    ResyncsFromAnyPlace,
    /// What a connector that is deleted was to be told stays.
    KeepsResyncsOfTheDeleted,
    /// Whatever was told without something is told so for good.
    ForgetsWhatIsLeftToBeTold,
    /// What was told is to be told still.
    KeepsWhatWasLeftToBeTold,
    /// What is bound by the time something is told without it is not noticed.
    LooksForTheLateBeforehand,
    /// What is told again is told again by whoever says so.
    TellsAgainTwice,
    /// A cursor moves, wherever it was.
    MovesTheCursorFromAnywhere,
    /// A cursor moves, whatever becomes of the rest of its commit.
    MovesTheCursorAlone,
    /// What was bound after a list was made is missing from it.
    MissesWhatIsNew,
    /// Objects are listed beneath any parent.
    ListsTheChildrenOfOthers,
    /// Nobody notices that something beneath an object is different.
    ForgetsToTouch,
    /// An entry settles any delivery, whoever has it in hand.
    SettlesWhatIsNotInHand,
    /// The owner settles what an entry has settled.
    SettlesWhatAnEntrySettles,
    /// A queue gets a new owner while an entry settles some of it.
    ReplacesTheOwnerOfWhatIsSettled,
    /// An entry is relayed, and what it settles is claimed as before.
    LeavesClaimedWhatAnEntrySettles,
    /// Of an entry that settles something, the bindings are not made.
    ForgetsWhatFollowsFromAnEntry,
    /// What a parked entry would have settled is settled by nothing else.
    KeepsWhatAParkedEntrySettles,
}

/// Which law catches which bug; a bug may be caught by others, too.
const CAUGHT_BY: &[(Bug, &str)] = &[
    (Bug::DropsADelivery, "a_commit_answers_its_tasks_in_the_order_given"),
    (Bug::ClaimsTwice, "a_claimed_delivery_is_not_claimed_twice"),
    (Bug::ClaimsTwice, "concurrent_commits_get_ids_of_their_own_and_lose_nothing"),
    (Bug::ReordersTwoOfAKey, "fresh_deliveries_of_one_key_are_claimed_together_in_order"),
    (Bug::ReordersTwoOfAKey, "order_survives_every_combination_of_outcomes"),
    (Bug::ForgetsFencing, "a_former_owner_changes_nothing"),
    (Bug::ForgetsFencing, "a_commit_is_all_or_nothing_when_its_owner_is_a_former_one"),
    (Bug::ForgetsToLookAgain, "what_arrived_before_the_wait_is_written_is_not_missed"),
    (Bug::WritesHalfACommit, "a_commit_is_all_or_nothing_when_an_object_is_not_as_expected"),
    (Bug::WritesHalfACommit, "a_commit_is_all_or_nothing_when_a_guid_is_taken"),
    (Bug::WritesHalfACommit, "a_commit_is_all_or_nothing_when_a_code_name_is_taken"),
    (Bug::WritesHalfACommit, "a_commit_is_all_or_nothing_when_a_settlement_is_stale"),
    (Bug::LosesTheDoorbell, "logging_rings_before_it_returns"),
    (Bug::LosesTheDoorbell, "a_binding_wakes_who_waits_for_its_object"),
    (Bug::ForgetsTheInterruptedAttempt, "what_was_interrupted_is_charged_and_claimed_alone"),
    (Bug::ChargesWhatIsReleased, "only_charged_outcomes_use_up_attempts"),
    (Bug::ForgetsTheDisplaced, "what_holds_a_key_displaces_what_is_claimed_behind_it"),
    (Bug::ParksBesideTheKey, "a_parked_delivery_holds_its_key"),
    (Bug::ParksBesideTheKey, "order_survives_every_combination_of_outcomes"),
    (Bug::StepsAsideInPlace, "what_does_not_hold_its_key_lets_the_next_go"),
    (Bug::StepsAsideInPlace, "what_was_overtaken_says_by_which"),
    (Bug::IsEarly, "what_is_due_is_claimed_not_before"),
    (Bug::ForgetsTheNextDueTime, "the_next_due_time_is_the_earliest_to_come"),
    (Bug::TakesBytesForText, "bytes_survive_as_they_are"),
    (Bug::RoundsTimes, "time_survives_to_the_microsecond"),
    (Bug::KnowsTheGone, "a_gone_object_is_unknown_but_keeps_its_external_id"),
    (Bug::InheritsBindings, "an_object_does_not_inherit_the_binding_of_a_former_one"),
    (Bug::BindsWhateverIsThere, "a_binding_if_free_contradicts_nothing"),
    (Bug::EndsWhateverIsBound, "an_end_spares_a_newer_binding"),
    (Bug::RepeatsNumbers, "a_new_number_was_never_used"),
    (Bug::ForgetsWhatLivesElsewhere, "what_lives_elsewhere_is_bound_all_the_same"),
    (Bug::ForgetsTheLate, "what_is_not_claimed_cannot_be_settled"),
    (Bug::NeverCloses, "after_closing_every_call_answers_closed"),
    (Bug::ForgetsThatItWasReleased, "who_gave_a_queue_up_is_a_former_owner"),
    (Bug::ForgetsThatItWasReleased, "nothing_is_claimed_at_once_for_a_former_owner"),
    (Bug::ClaimsTheChargedTogether, "what_was_charged_before_is_claimed_alone"),
    (Bug::ClaimsTheChargedTogether, "what_was_interrupted_stays_alone"),
    (Bug::AlwaysBringsTheDueFirst, "fresh_work_comes_first_when_it_is_wanted"),
    (Bug::AlwaysBringsTheDueFirst, "alternating_claims_starve_neither_kind"),
    (Bug::ClaimsAheadOfTheDue, "a_claim_ahead_brings_only_what_is_fresh"),
    (Bug::AlwaysBringsTheDueFirst, "in_a_queue_in_order_what_stepped_aside_comes_alone"),
    (Bug::ChargesWhatIsDeferred, "what_is_deferred_is_scheduled_and_not_charged"),
    (Bug::ChargesWhatIsDeferred, "only_charged_outcomes_use_up_attempts"),
    (Bug::ForgetsTheDeferrals, "deferrals_in_a_row_are_counted"),
    (Bug::ForgetsTheDeferrals, "an_interruption_does_not_end_a_deferral"),
    (Bug::ForgetsWhatOvertook, "what_was_overtaken_says_by_which"),
    (Bug::LetsOthersOvertakeInAQueueInOrder, "in_a_queue_in_order_whatever_is_stuck_holds_all"),
    (Bug::LetsOthersOvertakeInAQueueInOrder, "in_a_queue_in_order_nothing_is_claimed_beside_another"),
    (Bug::LetsOthersOvertakeInAQueueInOrder, "in_a_queue_in_order_what_is_stuck_displaces_all_behind_it"),
    (
        Bug::LetsOthersOvertakeInAQueueInOrder,
        "in_a_queue_in_order_order_survives_every_combination_of_outcomes",
    ),
    (Bug::LetsOthersOvertakeInAQueueInOrder, "where_the_queue_is_in_order_nothing_overtakes_at_once"),
    (Bug::LetsWhatWaitsHoldTheQueue, "in_a_queue_in_order_what_waits_holds_its_key_only"),
    (Bug::ClaimsAgainWhatWasHandedOver, "what_is_logged_for_an_idle_owner_is_claimed_at_once"),
    (Bug::RingsForWhatIsHandedOver, "what_is_claimed_at_once_does_not_ring"),
    (Bug::HandsOverForAFormerOwner, "nothing_is_claimed_at_once_for_a_former_owner"),
    (Bug::ForgetsKeysTooEarly, "a_key_is_known_until_its_task_is_pruned"),
    (Bug::ForgetsTheDigest, "the_same_key_for_something_else_is_refused"),
    (Bug::ForgetsTheDigest, "keys_and_digests_are_compared_byte_by_byte"),
    (Bug::ForgetsWhatIsRepeated, "the_same_key_is_logged_once"),
    (Bug::DropsHistory, "what_ended_is_kept_with_how_it_ended"),
    (Bug::DropsHistory, "what_ended_is_listed_by_how_it_ended"),
    (Bug::PrunesTooMuch, "pruning_spares_what_is_open_and_what_ended_later"),
    (Bug::AuditsTheCountersOnly, "pruning_leaves_the_counters"),
    (Bug::AuditsWrong, "an_audit_finds_what_was_counted"),
    (Bug::SkipsWhatWasNeverCalled, "what_was_never_called_is_cancelled_not_skipped"),
    (Bug::RetriesWhatIsBlocked, "a_retry_of_what_is_blocked_names_what_it_stands_behind"),
    (Bug::ForgetsToResetTheBudget, "a_retry_makes_due_at_once_with_all_attempts"),
    (Bug::EndsWhatRuns, "what_runs_is_left_to_its_connector"),
    (Bug::IgnoresWhatWasSeen, "what_changed_since_it_was_seen_is_left_alone"),
    (Bug::IgnoresWhatWasSeen, "interventions_are_done_in_the_order_given"),
    (Bug::ForgetsWhoDidIt, "what_operators_did_is_kept"),
    (Bug::EndsACreateInSilence, "ending_a_create_names_the_later_ones"),
    (Bug::CarriesOutAnyNumber, "an_intervention_names_a_limited_number"),
    (Bug::ForgetsWhatBlocks, "what_is_blocked_names_what_it_stands_behind"),
    (Bug::ListsEveryKey, "a_list_can_be_of_one_key"),
    (Bug::FindsAllForAnyKey, "the_open_deliveries_of_a_key_are_found"),
    (Bug::ForgetsWhatAKeyWaitsFor, "what_a_key_waits_for_is_found"),
    (Bug::CutsWithinACharacter, "ten_megabytes_of_an_error_are_cut_between_characters"),
    (Bug::DeletesWithOpenDeliveries, "a_connector_with_open_deliveries_is_not_deleted"),
    (Bug::LogsForTheDeleted, "what_is_logged_for_a_deleted_connector_is_discarded"),
    (Bug::LogsForTheDeleted, "nothing_is_claimed_for_a_deleted_connector"),
    (Bug::LogsForTheDeleted, "nothing_that_is_logged_while_a_connector_is_deleted_stays_open"),
    (Bug::KeepsTheCircuitOfTheDeleted, "a_connector_without_open_deliveries_can_be_deleted"),
    (Bug::ForgetsCircuits, "open_circuits_are_kept"),
    (Bug::KeepsWhatWasRolledBack, "what_a_foreign_transaction_rolled_back_is_never_relayed"),
    (Bug::RelaysWhatItIsTold, "a_relay_that_skips_an_entry_is_refused"),
    (Bug::RelaysWhatItIsTold, "of_concurrent_relays_one_wins"),
    (Bug::KeepsWhatWasRelayed, "entries_are_relayed_in_order_and_once"),
    (Bug::ParksWhatConcernsNobody, "an_entry_that_concerns_nobody_leaves_nothing"),
    (Bug::LogsAnEntryAgain, "an_entry_that_was_left_twice_is_logged_once"),
    (Bug::ForgetsWhatItParks, "an_unreadable_entry_is_parked_with_its_text"),
    (Bug::PutsBackAtTheEnd, "a_parked_entry_is_put_back_to_its_place"),
    (Bug::TakesAnySite, "an_object_of_an_unknown_site_is_refused_whole"),
    (Bug::TakesAnySite, "an_assignment_to_an_unknown_site_is_refused_whole"),
    (Bug::TakesAnySite, "an_incoming_task_for_an_unknown_site_is_refused"),
    (Bug::RemovesSitesInUse, "a_site_with_anything_in_it_is_not_removed"),
    (Bug::RaisesNoVersion, "an_assignment_raises_the_version_of_its_object"),
    (Bug::AssignsWhateverIsThere, "of_concurrent_assignments_one_wins"),
    (Bug::KeepsAssignmentsOfTheGone, "assignments_end_with_their_object"),
    (Bug::ForgetsToLookAgain, "an_outcome_before_the_wait_is_written_is_not_missed"),
    (Bug::WakesNobodyByAnOutcome, "who_waits_for_an_outcome_is_woken_by_any_outcome"),
    (Bug::WakesNobodyByAPage, "a_page_wakes_who_waits_for_it"),
    (Bug::WakesNobodyByAnOutcome, "an_outcome_wakes_who_waits_in_another_queue"),
    (Bug::WalksPagesInCircles, "nodes_are_walked_in_the_order_in_which_they_were_made"),
    (Bug::ForgetsDecisions, "what_was_decided_is_kept_and_tried"),
    (Bug::ListsConflictsFromTheStart, "conflicts_are_listed_oldest_first"),
    (Bug::ForgetsDoubts, "a_doubt_lasts_until_a_settlement_without_one"),
    (Bug::ForgetsDoubts, "whoever_waits_for_an_outcome_waits_while_it_is_in_doubt"),
    (Bug::ForgetsThatItWasTriedAnyway, "a_retry_of_what_is_in_doubt_is_told"),
    (Bug::ForgetsWhatIsInDoubt, "what_is_claimed_or_in_doubt_is_unsettled"),
    (Bug::WakesNobodyByAnOutcome, "what_is_displaced_wakes_who_waits_for_its_outcome"),
    (Bug::HearsForEver, "what_was_heard_is_used_once"),
    (Bug::HidesWhatIsClaimed, "what_is_claimed_of_an_object_is_told"),
    (Bug::SavesPagesWhateverIsThere, "a_page_is_written_by_who_saw_it_as_it_is"),
    (Bug::SavesPagesWhateverIsThere, "a_move_raises_the_version_of_the_whole_subtree"),
    (Bug::FindsPathsAsWritten, "a_page_comes_back_as_it_was_saved"),
    (Bug::TakesAliasesForPatterns, "an_alias_with_percent_and_underscore_is_an_alias"),
    (Bug::ChecksNothing, "a_check_refuses_what_has_changed_and_writes_nothing"),
    (Bug::LogsAChunkWithoutItsPlace, "a_chunk_and_its_place_become_true_together"),
    (Bug::ResyncsFromAnyPlace, "a_chunk_from_another_place_is_refused_whole"),
    (Bug::KeepsResyncsOfTheDeleted, "resyncs_go_with_their_connector"),
    (Bug::ForgetsWhatIsLeftToBeTold, "what_was_told_without_something_is_resolved_once_that_is_bound"),
    (Bug::KeepsWhatWasLeftToBeTold, "what_is_left_to_be_told_takes_the_place_of_what_was_left"),
    (Bug::TellsAgainTwice, "what_is_resolved_is_told_again_once"),
    (Bug::LooksForTheLateBeforehand, "what_is_bound_by_then_is_resolved_at_once"),
    (Bug::MovesTheCursorFromAnywhere, "a_cursor_that_moved_meanwhile_is_a_conflict"),
    (Bug::MovesTheCursorFromAnywhere, "a_forgotten_cursor_begins_anew"),
    (Bug::MovesTheCursorAlone, "a_cursor_and_its_tasks_become_true_together"),
    (Bug::ForgetsFencing, "a_former_owner_moves_no_cursor"),
    (Bug::MissesWhatIsNew, "what_a_whole_list_lacks_was_bound_before_it"),
    (Bug::ListsTheChildrenOfOthers, "children_are_listed_by_their_parent"),
    (Bug::ForgetsToTouch, "a_touch_raises_the_version_and_nothing_else"),
    (Bug::ForgetsToTouch, "of_concurrent_touches_one_wins"),
    (Bug::SettlesWhatIsNotInHand, "an_entry_settles_only_what_is_in_hand"),
    (Bug::SettlesWhatAnEntrySettles, "what_an_entry_settles_is_settled_by_nothing_else"),
    (Bug::ReplacesTheOwnerOfWhatIsSettled, "a_queue_has_no_new_owner_before_what_was_settled_is_relayed"),
    (Bug::LeavesClaimedWhatAnEntrySettles, "a_settlement_that_is_relayed_completes_its_delivery"),
    (Bug::ForgetsWhatFollowsFromAnEntry, "a_settlement_that_is_relayed_completes_its_delivery"),
    (Bug::KeepsWhatWasRolledBack, "what_a_transaction_rolled_back_settles_nothing"),
    (Bug::KeepsWhatAParkedEntrySettles, "a_settlement_that_cannot_be_read_leaves_its_delivery_claimed"),
];

/// What the random programs catch, too: nobody has to have thought of it.
const CAUGHT_BY_PROGRAMS: &[Bug] = &[
    Bug::DropsADelivery,
    Bug::ClaimsTwice,
    Bug::ReordersTwoOfAKey,
    Bug::ForgetsFencing,
    Bug::ForgetsToLookAgain,
    Bug::ForgetsTheInterruptedAttempt,
    Bug::ForgetsTheDisplaced,
    Bug::ForgetsThatItWasReleased,
    Bug::ClaimsTheChargedTogether,
    Bug::AlwaysBringsTheDueFirst,
    Bug::ClaimsAheadOfTheDue,
    Bug::ChargesWhatIsDeferred,
    Bug::ForgetsTheDeferrals,
    Bug::ForgetsWhatOvertook,
    Bug::LetsOthersOvertakeInAQueueInOrder,
    Bug::LetsWhatWaitsHoldTheQueue,
    Bug::ClaimsAgainWhatWasHandedOver,
    Bug::HandsOverForAFormerOwner,
    Bug::ForgetsKeysTooEarly,
    Bug::ForgetsTheDigest,
    Bug::ForgetsWhatIsRepeated,
    Bug::DropsHistory,
    Bug::PrunesTooMuch,
    Bug::AuditsTheCountersOnly,
    Bug::SkipsWhatWasNeverCalled,
    Bug::RetriesWhatIsBlocked,
    Bug::ForgetsToResetTheBudget,
    Bug::EndsWhatRuns,
    Bug::IgnoresWhatWasSeen,
    Bug::ForgetsWhoDidIt,
    Bug::EndsACreateInSilence,
    Bug::ForgetsWhatBlocks,
    Bug::LosesTheDoorbell,
    Bug::ParksBesideTheKey,
    Bug::ForgetsDoubts,
    Bug::ForgetsWhatIsInDoubt,
    Bug::ForgetsThatItWasTriedAnyway,
];

#[tokio::test]
async fn random_programs_catch_what_nobody_thought_of() {
    let name = "random_programs_keep_every_key_in_order_and_lose_nothing";
    let law = LAWS.iter().find(|listed| listed.name == name).expect("the law is listed");
    let mut missed = Vec::new();
    for bug in CAUGHT_BY_PROGRAMS {
        if !is_caught(*bug, *law).await {
            missed.push(bug);
        }
    }
    assert!(missed.is_empty(), "no program fails for stores that are broken so: {missed:?}");
}

#[tokio::test]
async fn each_bug_is_caught_by_its_law() {
    let mut missed = Vec::new();
    for &(bug, law) in CAUGHT_BY {
        let law = LAWS.iter().find(|listed| listed.name == law).unwrap_or_else(|| panic!("no law {law}"));
        if !is_caught(bug, *law).await {
            missed.push((bug, law));
        }
    }
    assert!(missed.is_empty(), "these laws hold for stores that are broken so: {missed:?}");
}

#[tokio::test]
async fn a_store_without_a_bug_is_never_accused() {
    for law in LAWS {
        assert!(!is_caught(Bug::None, *law).await, "{law:?}");
    }
}

/// Whether the law panics for a store with this bug.
async fn is_caught(bug: Bug, law: Law) -> bool {
    let trial = tokio::spawn(async move { (law.run)(&Seeded::with(bug)).await });
    match trial.await {
        Ok(Verdict::Kept | Verdict::Gap(_)) => false,
        Err(error) => error.is_panic(),
    }
}
