//! What every [`Store`] promises, as tests that any implementation can run:
//!
//! ```ignore
//! towline_testkit::store_contract_tests!(MyFactory::new());
//! ```
//!
//! makes one test of each clause. [`MemoryStore`] is the smallest
//! implementation, for tests of what stands on a store.

#![allow(
    clippy::unwrap_used,
    reason = "these are tests, though other crates run them"
)]

mod changing;
mod durability;
mod finding;
mod folding;
mod groups;
mod histories;
mod identity;
mod memory;
mod memory_groups;
mod samples;

use std::sync::Arc;

use towline_core::Store;

pub use changing::*;
pub use durability::*;
pub use finding::*;
pub use folding::*;
pub use groups::*;
pub use histories::{History, random_change};
pub use identity::*;
pub use memory::{MemoryFactory, MemoryStore, Slow};
pub use samples::{Sample, completed, error, part, phase, sum};

/// One place in which a store is kept.
pub trait StoreFactory {
    /// Opens the store that is there, or a new one the first time. Called again
    /// only after the store it gave has been dropped, closed or not: dropping
    /// one that is not closed stands for a crash.
    fn open(&self) -> Arc<dyn Store>;
}

/// Makes one test of each clause; the expression gives a fresh [`StoreFactory`].
#[macro_export]
macro_rules! store_contract_tests {
    ($factory:expr) => {
        $crate::store_contract_tests! { @each $factory;
            what_was_acknowledged_is_there_after_a_crash
            a_commit_is_applied_wholly_or_not_at_all
            new_transfers_are_recorded_all_or_none
            calls_at_the_same_time_all_survive
            a_failed_call_leaves_those_at_the_same_time_alone
            a_closed_store_refuses_everything
            ids_grow_and_are_never_used_twice
            the_same_token_and_request_are_the_same_transfer
            a_token_of_another_request_is_taken
            the_token_of_a_removed_transfer_is_free
            what_was_asked_for_comes_back_as_it_was
            a_copy_is_kept_letter_by_letter_with_its_origin
            an_unknown_transfer_is_named
            a_record_is_the_fold_of_its_changes
            changes_at_odds_with_the_record_are_refused
            parts_come_back_in_order_with_etag_and_checksum
            parts_go_when_a_transfer_ends_restarts_or_is_discarded
            the_last_64_incidents_are_kept_in_order
            next_leaves_out_final_and_paused_transfers
            next_of_a_priority_finds_those_that_have_it_now
            find_takes_each_condition_and_all_together
            find_tells_states_by_their_phases
            each_transfer_is_counted_once_in_its_phase
            search_finds_a_part_of_a_key_or_path
            a_query_that_looks_at_few_goes_on_where_it_ended
            pages_hold_everything_once_in_either_order
            pages_stay_stable_while_transfers_come_and_go
            only_final_transfers_are_removed
            changes_come_in_order_and_each_transfer_once
            changes_are_read_on_after_reopening
            a_removed_transfer_leaves_a_word
            ended_ones_are_looked_through_in_the_order_in_which_they_ended
            a_cursor_of_another_store_is_refused
            a_group_comes_back_as_it_was
            a_page_of_a_group_is_recorded_with_its_place_or_not_at_all
            a_paused_transfer_that_a_page_takes_over_is_yet_to_be_told_to_go_on
            a_group_that_is_not_open_takes_no_page
            a_listing_that_begins_at_the_start_again_counts_anew
            not_everything_without_a_transfer_is_kept_but_all_is_counted
            the_transfers_of_a_group_are_added_up
            a_name_means_the_newest_group_and_an_id_each
            a_group_takes_over_what_an_earlier_one_of_its_name_left
            changes_of_groups_are_told_in_order_and_its_end_once
            changes_are_told_as_far_as_a_filter_takes_them
            only_a_group_that_ended_and_has_no_transfers_is_removed
            members_of_a_group_are_not_told_as_ended_before_it_has_its_end
        }
    };
    (@each $factory:expr; $($clause:ident)*) => {
        $(
            #[test]
            fn $clause() {
                let factory = $factory;
                $crate::store_contract::block_on($crate::store_contract::$clause(&factory));
            }
        )*
    };
}

/// Runs one clause.
pub fn block_on<T>(clause: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime
        .expect("a runtime without drivers needs nothing")
        .block_on(clause)
}

#[cfg(test)]
mod tests {
    crate::store_contract_tests!(super::MemoryFactory::default());
}
