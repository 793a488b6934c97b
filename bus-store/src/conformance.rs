//! The laws that every store keeps: one test for each, named as a sentence. Longer than other files because each law is
//! listed here.
//!
//! A backend proves itself with one line in a test of its own, and dev-dependencies on `bus-store` (feature
//! `conformance`) and `tokio` (features `macros` and `rt-multi-thread`):
//!
//! ```
//! mod memory {
//!     use std::sync::Arc;
//!     use bus_core::BoxFuture;
//!     use bus_store::conformance::Rig;
//!     use bus_store::{MemoryStore, Store};
//!
//!     struct InMemory;
//!
//!     impl Rig for InMemory {
//!         fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
//!             Box::pin(async { Arc::new(MemoryStore::new()) as Arc<dyn Store> })
//!         }
//!     }
//!
//!     bus_store::conformance!(InMemory);
//! }
//! # fn main() {}
//! ```
//!
//! The expression is evaluated once for each law, so each has a place for its data of its own. A law that does not
//! hold panics and says what it saw. A law that needs a capability that the store does not claim is reported as a
//! gap, with its reason, on the standard error stream of the tests; no law asks for a backend's name.

#![expect(clippy::missing_panics_doc, reason = "a law that does not hold panics: that is how it says so")]

pub mod aside;
mod bench;
pub mod children;
pub mod claim_for;
pub mod connectors;
pub mod cursors;
pub mod deferral;
pub mod deleted;
pub mod doubt;
pub mod due;
pub mod ending;
pub mod exchange;
pub mod history;
pub mod idempotency;
pub mod identity;
pub mod intervene;
pub mod kept;
pub mod late;
pub mod objects;
pub mod opening;
pub mod operate;
pub mod outbox;
pub mod owner;
pub mod pages;
pub mod programs;
pub mod queue;
pub mod resync;
pub mod reviews;
pub mod scope;
pub mod settling;
pub mod sites;
pub mod task_log;
pub mod wake;

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use bus_core::BoxFuture;

use crate::Store;

/// A place for data that is opened, by one law at a time.
pub trait Rig: Send + Sync {
    /// Opens the store: the first time with nothing in it. A law that opens it again has closed it before, and
    /// finds the same data where the store says that it `reopens`.
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>>;

    /// Somebody else's connection to the data of the store that is open; where the store claims a `log_statement`.
    fn foreign(&self) -> Option<Box<dyn Foreign>> {
        None
    }
}

/// A connection to the data of a store that is not the store's own, as an application has one.
pub trait Foreign: Send + Sync {
    /// Executes the statement with each of these texts, in one transaction that ends so; where the store refuses one,
    /// says why, and rolls back.
    fn execute(&self, statement: &str, texts: &[&str], end: TransactionEnd) -> Result<(), String>;
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionEnd {
    /// All of it is true.
    Committed,
    /// Nothing of it is.
    RolledBack,
}

/// What became of a law that did not panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The store keeps it.
    Kept,
    /// It does not apply to the store: why.
    Gap(&'static str),
}

impl From<()> for Verdict {
    fn from((): ()) -> Self {
        Self::Kept
    }
}

/// One law.
#[derive(Clone, Copy)]
pub struct Law {
    /// What it says.
    pub name: &'static str,
    /// Tries it.
    pub run: for<'a> fn(&'a dyn Rig) -> BoxFuture<'a, Verdict>,
}

impl fmt::Debug for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Tells of a gap, past the capture of test output: what is not tested is never silent.
pub fn report(law: &str, verdict: &Verdict) {
    if let Verdict::Gap(reason) = verdict {
        // Without a standard error stream there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "gap: {law}: {reason}");
    }
}

/// Ends a law with a gap where the store does not reopen.
macro_rules! needs_reopening {
    ($store:expr) => {
        if !$store.capabilities().reopens {
            return Verdict::Gap("the store does not claim that its data can be opened again");
        }
    };
}
use needs_reopening;

/// A store with a foreign connection to it; ends the law with a gap where the store claims none.
macro_rules! needs_outbox {
    ($rig:expr) => {
        match crate::conformance::outbox::Desk::open($rig).await {
            Some(desk) => desk,
            None => {
                return Verdict::Gap(
                    "the store does not claim that a transaction of somebody else can log in it",
                );
            }
        }
    };
}
use needs_outbox;

/// One test for each law, for the store that this rig opens.
#[macro_export]
macro_rules! conformance {
    ($rig:expr) => {
        $crate::for_every_law! { [$crate::test_each_law] [$rig] }
    };
}

/// What `conformance!` makes of the list of laws.
#[doc(hidden)]
#[macro_export]
macro_rules! test_each_law {
    ([$rig:expr] $($file:ident::$law:ident)*) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                let rig = $rig;
                let verdict = $crate::conformance::$file::$law(&rig).await.into();
                $crate::conformance::report(stringify!($law), &verdict);
            }
        )*
    };
}

macro_rules! list_each_law {
    ([] $($file:ident::$law:ident)*) => {
        /// All laws, by file.
        pub const LAWS: &[Law] = &[
            $(Law { name: stringify!($law), run: |rig| Box::pin(async move { $file::$law(rig).await.into() }) },)*
        ];
    };
}

/// The list of laws, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! for_every_law {
    ([$($then:tt)*] [$($arguments:tt)*]) => {
        $($then)*! {
            [$($arguments)*]
            task_log::what_is_logged_later_has_the_larger_id
            task_log::ids_are_never_given_twice
            task_log::a_commit_answers_its_tasks_in_the_order_given
            task_log::an_empty_commit_changes_nothing
            task_log::objects_tasks_bindings_and_outcomes_become_true_together
            task_log::a_commit_is_all_or_nothing_when_an_object_is_not_as_expected
            task_log::a_commit_is_all_or_nothing_when_a_guid_is_taken
            task_log::a_commit_is_all_or_nothing_when_a_code_name_is_taken
            task_log::a_commit_is_all_or_nothing_when_it_contradicts_itself_in_its_objects
            task_log::a_commit_is_all_or_nothing_when_a_settlement_is_stale
            task_log::a_commit_is_all_or_nothing_when_its_owner_is_a_former_one
            task_log::a_commit_that_contradicts_itself_is_refused
            task_log::a_conflict_names_both_objects
            task_log::one_task_goes_to_several_queues
            task_log::the_two_directions_are_two_queues
            task_log::concurrent_commits_get_ids_of_their_own_and_lose_nothing
            task_log::what_was_logged_comes_back_word_for_word
            task_log::bytes_survive_as_they_are
            task_log::a_mebibyte_survives
            task_log::time_survives_to_the_microsecond
            idempotency::the_same_key_is_logged_once
            idempotency::the_same_key_within_a_commit_is_logged_once
            idempotency::the_same_key_for_something_else_is_refused
            idempotency::what_comes_with_a_repeated_task_is_written
            idempotency::a_key_belongs_to_one_connector
            idempotency::keys_and_digests_are_compared_byte_by_byte
            idempotency::a_key_is_known_until_its_task_is_pruned
            idempotency::a_key_is_for_one_incoming_delivery
            idempotency::of_concurrent_senders_of_a_key_one_is_logged
            claim_for::what_is_logged_for_an_idle_owner_is_claimed_at_once
            claim_for::what_is_claimed_at_once_does_not_ring
            claim_for::nothing_is_claimed_at_once_behind_its_key
            claim_for::nothing_is_claimed_at_once_far_behind_its_key
            claim_for::what_stands_aside_is_passed_at_once
            claim_for::what_is_settled_with_it_lets_it_be_claimed_at_once
            claim_for::what_is_repeated_is_not_claimed_at_once
            claim_for::only_the_first_new_one_is_claimed_at_once
            claim_for::owners_of_several_queues_are_each_given_their_own
            claim_for::nothing_is_claimed_at_once_for_a_former_owner
            claim_for::what_was_claimed_at_once_can_be_interrupted
            claim_for::a_refused_commit_claims_nothing
            claim_for::where_the_queue_is_in_order_nothing_overtakes_at_once
            opening::what_was_acknowledged_is_there_after_reopening
            opening::history_is_there_after_reopening
            opening::ids_go_on_after_reopening
            opening::what_was_claimed_before_reopening_is_charged_and_claimed_alone
            opening::after_closing_every_call_answers_closed
            queue::a_claimed_delivery_is_not_claimed_twice
            queue::an_empty_queue_has_nothing_to_claim
            queue::a_claim_brings_the_oldest_up_to_its_limit
            queue::fresh_deliveries_of_one_key_are_claimed_together_in_order
            queue::what_runs_holds_its_key
            queue::a_retried_delivery_holds_its_key
            queue::a_released_delivery_holds_its_key
            queue::a_deferred_delivery_holds_its_key
            queue::a_waiting_delivery_holds_its_key
            queue::a_parked_delivery_holds_its_key
            queue::what_does_not_hold_its_key_lets_the_next_go
            queue::a_key_with_an_exception_gives_one_at_a_time
            queue::order_survives_every_combination_of_outcomes
            queue::ten_thousand_blocked_keys_do_not_hide_a_free_one
            queue::what_holds_a_key_displaces_what_is_claimed_behind_it
            queue::what_does_not_hold_its_key_displaces_nothing
            queue::what_was_claimed_before_it_is_not_displaced
            queue::what_was_displaced_cannot_be_settled
            scope::in_a_queue_in_order_fresh_ones_come_together_by_id
            scope::in_a_queue_in_order_nothing_is_claimed_beside_another
            scope::in_a_queue_in_order_whatever_is_stuck_holds_all
            scope::in_a_queue_in_order_all_behind_what_is_stuck_counts_as_blocked
            scope::in_a_queue_in_order_what_waits_holds_its_key_only
            scope::in_a_queue_in_order_what_was_woken_comes_first_and_alone
            scope::in_a_queue_in_order_a_run_ends_before_an_exception
            scope::in_a_queue_in_order_what_is_stuck_displaces_all_behind_it
            scope::in_a_queue_in_order_what_waits_displaces_its_key_only
            scope::in_a_queue_in_order_what_passes_holds_nothing
            scope::in_a_queue_in_order_what_stepped_aside_comes_alone
            scope::in_a_queue_in_order_what_stepped_aside_can_hold_it_again
            scope::in_a_queue_in_order_an_interruption_keeps_the_order
            scope::within_what_order_is_kept_each_owner_says
            scope::in_a_queue_in_order_what_makes_another_key_ready_rings
            scope::in_a_queue_in_order_order_survives_every_combination_of_outcomes
            owner::what_is_not_claimed_cannot_be_settled
            owner::a_delivery_is_settled_once
            owner::the_owner_of_another_queue_cannot_settle
            owner::every_owner_has_a_higher_epoch
            owner::a_former_owner_changes_nothing
            owner::what_was_interrupted_is_charged_and_claimed_alone
            owner::what_was_interrupted_is_available
            owner::what_was_interrupted_counts_as_called
            owner::what_was_interrupted_stays_alone
            owner::an_interruption_keeps_the_order_of_a_key
            owner::an_interruption_does_not_end_a_wait
            owner::a_new_owner_touches_only_what_was_claimed
            owner::who_gave_a_queue_up_is_a_former_owner
            owner::what_was_claimed_when_its_queue_was_given_up_is_interrupted
            owner::a_former_owner_gives_nothing_up
            owner::a_queue_of_this_process_is_free
            owner::a_queue_without_an_owner_loses_nothing
            due::only_charged_outcomes_use_up_attempts
            due::what_is_due_is_claimed_not_before
            due::the_next_due_time_is_the_earliest_to_come
            due::what_time_does_not_make_ready_has_no_due_time
            due::what_is_due_takes_at_most_half_while_there_is_fresh_work
            due::what_is_due_comes_by_due_time
            due::a_waiting_delivery_knows_how_long_and_how_often
            due::what_was_charged_before_is_claimed_alone
            due::what_is_due_before_what_was_charged_comes_without_it
            due::fresh_work_comes_first_when_it_is_wanted
            due::alternating_claims_starve_neither_kind
            due::a_claim_ahead_brings_only_what_is_fresh
            deferral::what_is_deferred_is_scheduled_and_not_charged
            deferral::what_is_deferred_to_now_is_available
            deferral::deferrals_in_a_row_are_counted
            deferral::any_other_outcome_ends_a_deferral
            deferral::an_interruption_does_not_end_a_deferral
            deferral::a_deferral_ends_a_wait
            deferral::what_was_deferred_can_be_parked
            aside::what_stepped_aside_runs_again_when_it_is_due
            aside::what_was_overtaken_says_by_which
            aside::only_a_later_success_supersedes
            aside::what_stepped_aside_never_runs_beside_its_key
            aside::what_stepped_aside_does_not_overtake_what_holds_the_key
            aside::what_stepped_aside_can_hold_its_key_again
            aside::what_stood_behind_its_key_is_claimed_once_that_lets_go
            aside::what_is_parked_aside_holds_nothing
            aside::an_interruption_leaves_aside_what_stepped_aside
            identity::a_binding_is_found_from_both_sides
            identity::an_object_has_one_external_id_the_newest
            identity::an_external_id_has_one_object_the_newest
            identity::a_binding_can_take_the_place_of_two
            identity::bindings_belong_to_one_connector_and_type
            identity::answers_come_in_the_order_asked
            identity::a_gone_object_is_unknown_but_keeps_its_external_id
            identity::bindings_end_before_new_ones_begin
            identity::an_end_spares_a_newer_binding
            identity::an_object_does_not_inherit_the_binding_of_a_former_one
            identity::a_delete_that_is_repeated_is_about_the_former_object
            identity::a_binding_of_nothing_is_in_nobodys_way
            identity::a_binding_if_free_contradicts_nothing
            identity::pages_of_bindings_are_stable_under_writes
            identity::ids_of_every_kind_can_be_bound
            identity::what_a_whole_list_lacks_was_bound_before_it
            objects::an_object_comes_back_as_it_was_saved
            objects::one_commit_can_write_an_object_several_times
            objects::a_deleted_object_is_gone
            objects::deleting_what_is_not_there_is_no_error
            objects::a_guid_finds_an_object_wherever_it_belongs
            objects::a_code_name_finds_an_object_where_it_belongs
            objects::a_changed_object_is_found_by_its_new_names_only
            objects::names_are_unique_only_where_they_must_be
            objects::objects_are_listed_in_the_order_they_were_saved
            objects::pages_of_objects_are_stable_under_writes
            objects::going_on_after_a_gone_object_is_refused
            objects::a_new_number_was_never_used
            objects::numbers_asked_for_at_once_are_different
            objects::of_concurrent_writers_one_wins
            children::children_are_listed_by_their_parent
            children::going_on_after_a_child_that_has_left_is_refused
            children::a_touch_raises_the_version_and_nothing_else
            children::a_touch_of_another_version_is_refused_whole
            children::of_concurrent_touches_one_wins
            sites::a_site_comes_back_as_it_was_registered
            sites::a_site_with_anything_in_it_is_not_removed
            sites::an_object_of_an_unknown_site_is_refused_whole
            sites::an_assignment_to_an_unknown_site_is_refused_whole
            sites::an_incoming_task_for_an_unknown_site_is_refused
            sites::an_assignment_raises_the_version_of_its_object
            sites::of_concurrent_assignments_one_wins
            sites::assignments_end_with_their_object
            sites::an_object_belongs_to_a_site_or_is_assigned_to_some
            sites::an_assignment_goes_with_the_rest_of_its_commit
            sites::what_is_registered_or_removed_at_once_counts_for_the_next_commit
            sites::sites_and_assignments_survive_reopening
            exchange::what_was_exchanged_comes_back
            exchange::what_is_given_keeps_the_count_of_alternations
            exchange::what_was_heard_is_used_once
            exchange::of_what_was_sent_the_latest_is_kept
            exchange::what_was_sent_is_forgotten_with_time
            exchange::what_was_exchanged_ends_with_its_binding
            exchange::what_was_exchanged_goes_with_the_rest_of_its_commit
            exchange::what_is_claimed_of_an_object_is_told
            exchange::what_was_sent_is_forgotten_with_its_connector
            exchange::what_was_exchanged_survives_reopening
            connectors::records_come_back_as_they_were_saved
            connectors::published_subscriptions_come_back
            connectors::a_connector_changes_its_state
            connectors::the_switches_are_kept
            connectors::the_revision_tells_that_something_was_set
            connectors::a_connector_without_open_deliveries_can_be_deleted
            connectors::a_connector_with_open_deliveries_is_not_deleted
            connectors::open_circuits_are_kept
            cursors::a_cursor_and_its_tasks_become_true_together
            cursors::a_cursor_that_moved_meanwhile_is_a_conflict
            cursors::a_former_owner_moves_no_cursor
            cursors::a_cursor_moves_for_the_owner_of_its_incoming_queue_only
            cursors::a_forgotten_cursor_begins_anew
            cursors::a_cursor_ends_with_its_connector
            cursors::a_cursor_survives_reopening
            deleted::what_is_logged_for_a_deleted_connector_is_discarded
            deleted::what_is_logged_for_others_too_stays_open_for_them
            deleted::nothing_is_claimed_for_a_deleted_connector
            deleted::a_key_that_came_for_a_deleted_connector_is_known
            deleted::what_is_registered_again_is_logged_for_again
            deleted::a_connector_that_was_not_deleted_is_logged_for
            deleted::what_was_deleted_stays_deleted_after_reopening
            deleted::nothing_that_is_logged_while_a_connector_is_deleted_stays_open
            operate::the_books_balance_after_every_outcome
            operate::every_state_is_seen_as_what_it_is
            operate::what_was_blocked_becomes_available
            operate::a_list_can_be_of_one_state
            operate::pages_of_deliveries_are_stable_under_writes
            operate::a_page_has_a_largest_size
            operate::what_went_wrong_is_kept
            operate::the_latest_attempts_are_kept
            operate::long_errors_are_cut_between_characters
            operate::ten_megabytes_of_an_error_are_cut_between_characters
            operate::the_open_deliveries_of_a_key_are_found
            operate::what_a_key_waits_for_is_found
            operate::a_list_can_be_of_one_key
            operate::what_is_blocked_names_what_it_stands_behind
            operate::queues_are_listed
            operate::what_nobody_heard_of_is_empty
            history::what_ended_is_kept_with_how_it_ended
            history::what_was_discarded_says_why
            history::what_completed_shows_what_went_wrong_before
            history::what_ended_is_listed_by_how_it_ended
            history::what_is_redelivered_names_what_it_repeats
            history::the_longest_ended_is_pruned_first
            history::pruning_spares_what_is_open_and_what_ended_later
            history::pruning_leaves_the_counters
            history::data_is_kept_until_the_last_delivery_of_its_task_is_pruned
            history::pruning_changes_no_order
            history::an_audit_finds_what_was_counted
            history::what_ended_never_comes_again
            intervene::a_retry_makes_due_at_once_with_all_attempts
            intervene::a_retry_changes_no_order
            intervene::a_retry_of_what_is_blocked_names_what_it_stands_behind
            intervene::a_retry_of_what_is_ready_says_so
            intervene::what_was_retried_by_hand_comes_with_others
            intervene::a_retry_ends_a_wait_and_a_deferral
            intervene::a_retry_rings
            intervene::what_runs_is_left_to_its_connector
            intervene::what_has_ended_stays_so
            intervene::what_is_not_kept_is_unknown
            intervene::what_changed_since_it_was_seen_is_left_alone
            intervene::interventions_are_done_in_the_order_given
            intervene::one_intervention_reaches_several_queues
            intervene::an_intervention_names_a_limited_number
            intervene::where_the_queue_is_in_order_a_retry_names_what_holds_it
            ending::what_was_called_is_skipped_not_cancelled
            ending::what_was_never_called_is_cancelled_not_skipped
            ending::a_retry_does_not_make_it_never_called
            ending::anything_that_does_not_run_can_be_discarded
            ending::what_ends_by_hand_lets_the_next_go
            ending::what_ends_by_hand_leaves_the_others_in_order
            ending::what_ended_by_hand_waits_no_more
            ending::what_ends_by_hand_supersedes_nothing
            ending::ending_a_create_names_the_later_ones
            ending::ending_anything_else_names_no_later_ones
            ending::what_operators_did_is_kept
            ending::what_was_refused_is_not_kept
            ending::the_latest_interventions_are_kept
            ending::an_operator_does_not_disturb_the_owner
            ending::everything_that_is_open_can_be_ended
            wake::logging_rings_before_it_returns
            wake::a_queue_can_be_listened_to_before_it_exists
            wake::a_refused_commit_does_not_ring
            wake::an_outcome_that_makes_something_ready_rings
            wake::a_binding_wakes_who_waits_for_its_object
            wake::other_bindings_wake_nobody
            wake::a_binding_wakes_who_waits_for_its_external_id
            wake::an_object_wakes_who_waits_for_its_external_id
            wake::an_object_wakes_who_waits_for_its_guid
            wake::an_object_wakes_who_waits_for_its_code_name
            wake::a_renamed_object_wakes_who_waits_for_its_new_name
            wake::what_is_gone_again_wakes_nobody
            wake::any_of_what_is_awaited_wakes
            wake::what_arrived_before_the_wait_is_written_is_not_missed
            wake::what_arrives_with_the_wait_is_not_missed
            wake::a_wake_does_not_forget_how_long_it_waits
            wake::a_wait_is_asked_again_when_nothing_arrives
            wake::one_arrival_wakes_all_who_wait
            wake::who_waits_no_more_is_not_woken
            wake::who_waits_for_an_outcome_is_woken_by_any_outcome
            wake::an_outcome_wakes_who_waits_in_another_queue
            wake::an_outcome_before_the_wait_is_written_is_not_missed
            wake::what_is_displaced_wakes_who_waits_for_its_outcome
            kept::what_was_put_back_in_a_queue_in_order_is_fresh_in_its_order
            kept::nothing_is_handed_over_while_what_stood_aside_runs
            kept::an_object_wakes_what_waits_for_a_binding_that_is_there
            kept::a_row_of_deferrals_keeps_its_beginning
            kept::what_was_put_off_for_free_leaves_half
            kept::what_fails_behind_a_waiting_one_holds_nobody_else
            kept::what_is_passed_over_takes_no_place_in_a_claim
            kept::what_is_due_beside_its_key_takes_one_turn
            identity::what_lives_elsewhere_is_bound_all_the_same
            identity::an_external_id_says_whose_it_was
            outbox::what_a_foreign_transaction_rolled_back_is_never_relayed
            outbox::an_empty_text_leaves_no_entry
            outbox::entries_are_relayed_in_order_and_once
            outbox::a_relay_that_skips_an_entry_is_refused
            outbox::of_concurrent_relays_one_wins
            outbox::an_unreadable_entry_is_parked_with_its_text
            outbox::a_parked_entry_is_put_back_to_its_place
            outbox::an_entry_that_was_left_twice_is_logged_once
            outbox::a_name_of_an_entry_is_known_while_its_task_is_kept
            outbox::what_is_relayed_is_logged_as_anything_else
            outbox::a_foreign_commit_rings
            outbox::a_look_at_the_outbox_is_limited
            outbox::a_relay_of_nothing_is_refused
            outbox::an_entry_that_concerns_nobody_leaves_nothing
            settling::an_entry_settles_only_what_is_in_hand
            settling::what_an_entry_settles_is_settled_by_nothing_else
            settling::a_queue_has_no_new_owner_before_what_was_settled_is_relayed
            settling::a_settlement_that_is_relayed_completes_its_delivery
            settling::what_a_transaction_rolled_back_settles_nothing
            settling::a_settlement_that_cannot_be_read_leaves_its_delivery_claimed
            doubt::a_doubt_lasts_until_a_settlement_without_one
            doubt::what_was_interrupted_is_in_doubt
            doubt::a_retry_of_what_is_in_doubt_is_told
            doubt::what_repeats_an_ended_one_is_tried_anyway
            doubt::whoever_waits_for_an_outcome_waits_while_it_is_in_doubt
            doubt::what_is_claimed_or_in_doubt_is_unsettled
            doubt::a_doubt_about_what_is_not_settled_is_refused
            reviews::a_conflict_is_kept_with_its_delivery_and_ends_with_it
            reviews::what_was_decided_is_kept_and_tried
            reviews::only_what_is_in_conflict_can_be_decided
            reviews::a_conflict_of_what_is_not_parked_is_refused
            reviews::conflicts_are_listed_oldest_first
            reviews::a_conflict_survives_reopening
            reviews::an_object_says_when_it_was_saved
            pages::a_page_comes_back_as_it_was_saved
            pages::a_node_is_a_page_in_each_of_its_cultures
            pages::a_page_is_written_by_who_saw_it_as_it_is
            pages::a_path_is_taken_once_on_a_site_whatever_its_case
            pages::a_page_stands_beneath_one_of_its_site
            pages::a_moved_page_takes_its_subtree_along
            pages::a_move_raises_the_version_of_the_whole_subtree
            pages::a_page_beneath_one_that_changed_meanwhile_is_refused
            pages::nothing_moves_beneath_itself
            pages::the_last_culture_takes_its_node_along
            pages::a_page_with_others_beneath_it_is_not_deleted
            pages::nodes_are_listed_by_path_whatever_is_written_meanwhile
            pages::an_alias_with_percent_and_underscore_is_an_alias
            pages::a_path_that_is_too_long_or_too_deep_is_refused
            pages::pages_stand_on_registered_sites
            pages::a_page_goes_with_the_rest_of_its_commit
            pages::pages_survive_reopening
            pages::nodes_are_walked_in_the_order_in_which_they_were_made
            pages::what_is_bound_to_a_page_counts_while_that_is_there
            pages::a_page_wakes_who_waits_for_it
            pages::a_page_wakes_who_waits_for_its_external_id
            objects::objects_are_walked_across_types_in_their_order
            objects::a_walk_sees_what_stays_once_whatever_is_written
            objects::a_check_refuses_what_has_changed_and_writes_nothing
            resync::a_resync_comes_back_as_it_was_begun
            resync::a_resync_that_runs_is_not_begun_again
            resync::a_chunk_and_its_place_become_true_together
            resync::a_chunk_from_another_place_is_refused_whole
            resync::of_concurrent_chunks_one_is_done
            resync::a_resync_that_has_ended_moves_no_more
            resync::the_revision_tells_of_a_resync
            resync::resyncs_go_with_their_connector
            resync::the_latest_of_the_ended_resyncs_are_kept
            resync::resyncs_survive_reopening
            late::what_was_told_without_something_is_resolved_once_that_is_bound
            late::what_is_bound_by_then_is_resolved_at_once
            late::a_binding_that_has_ended_resolves_nothing
            late::what_is_left_to_be_told_takes_the_place_of_what_was_left
            late::what_is_resolved_is_told_again_once
            late::late_references_belong_to_one_connector_and_type
            late::a_refused_commit_leaves_nothing_to_be_told
            late::what_is_resolved_is_listed_in_order
            late::what_is_left_to_be_told_goes_with_its_connector
            late::what_is_left_to_be_told_survives_reopening
            programs::random_programs_keep_every_key_in_order_and_lose_nothing
        }
    };
}

for_every_law! { [list_each_law] [] }

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::LAWS;

    #[test]
    fn every_law_that_is_written_is_listed() {
        let listed: BTreeSet<&str> = LAWS.iter().map(|law| law.name).collect();
        assert_eq!(listed.len(), LAWS.len(), "a law is listed twice");
        let files = [
            include_str!("conformance/aside.rs"),
            include_str!("conformance/children.rs"),
            include_str!("conformance/claim_for.rs"),
            include_str!("conformance/connectors.rs"),
            include_str!("conformance/cursors.rs"),
            include_str!("conformance/deferral.rs"),
            include_str!("conformance/deleted.rs"),
            include_str!("conformance/doubt.rs"),
            include_str!("conformance/reviews.rs"),
            include_str!("conformance/due.rs"),
            include_str!("conformance/ending.rs"),
            include_str!("conformance/exchange.rs"),
            include_str!("conformance/history.rs"),
            include_str!("conformance/idempotency.rs"),
            include_str!("conformance/identity.rs"),
            include_str!("conformance/intervene.rs"),
            include_str!("conformance/kept.rs"),
            include_str!("conformance/late.rs"),
            include_str!("conformance/objects.rs"),
            include_str!("conformance/opening.rs"),
            include_str!("conformance/operate.rs"),
            include_str!("conformance/outbox.rs"),
            include_str!("conformance/owner.rs"),
            include_str!("conformance/pages.rs"),
            include_str!("conformance/programs.rs"),
            include_str!("conformance/queue.rs"),
            include_str!("conformance/resync.rs"),
            include_str!("conformance/scope.rs"),
            include_str!("conformance/settling.rs"),
            include_str!("conformance/sites.rs"),
            include_str!("conformance/task_log.rs"),
            include_str!("conformance/wake.rs"),
        ];
        let lines = files.iter().flat_map(|file| file.lines());
        let names = lines.filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next());
        let written: BTreeSet<&str> = names.collect();
        assert_eq!(listed, written);
    }
}
