//! What a client and a server promise, over any engine: one function per promise.
//!
//! [`every_promise!`](crate::every_promise) makes a test of each, for one engine. Nothing here sleeps to
//! let something happen: tests wait for what they expect, and a watchdog ends them if it never comes.

pub mod basics;
pub mod bench;
pub mod faults;
pub mod handlers;
pub mod payloads;
pub mod pressure;

/// One `#[test]` per promise, over the benches that an expression makes.
#[macro_export]
macro_rules! every_promise {
    ($bench:expr) => {
        $crate::every_promise! { @basics $bench;
            names_match_exactly order_holds_across_events each_gets_its_own_in_order nothing_is_lost_after_register
            every_handler_is_called
            every_client_is_reached unregistered_is_silent a_taken_uid_is_an_error replaced_without_a_hole
            once_is_once once_is_replaced what_is_no_event_is_refused late_joiners_get_the_retained any_event_is_told raw_events_pass other_shapes_are_told
            newer_and_older_shapes_pass foreign_messages_are_counted clocks_change_the_age_alone
            subscriptions_are_streams off_is_off
        }
        $crate::every_promise! { @handlers $bench;
            a_panic_harms_nobody a_panic_in_a_payload_harms_nobody emitting_inside_works registering_inside_works flushing_inside_works circles_turn
            circles_that_are_fed_go_on
        }
        $crate::every_promise! { @pressure $bench;
            flush_means_taken drop_and_close_deliver what_is_accepted_arrives skipping_is_counted
            a_slow_handler_loses_nothing the_largest_event_passes a_weak_handle_keeps_nothing_open
        }
        $crate::every_promise! { @faults $bench;
            emitted_before_the_server servers_may_be_replaced leaving_loses_nothing retained_survives_a_server
            ensuring_twice_is_one_server
        }
    };
    (@$module:ident $bench:expr; $($promise:ident)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $promise() {
                    $crate::suite::$module::$promise(&$bench);
                }
            )*
        }
    };
}
