//! Every engine carries frames as the traits say: one suite, run on each.

#[path = "engine/rig.rs"]
mod rig;
#[path = "engine/suite.rs"]
mod suite;

macro_rules! on {
    ($engine:ident: $rig:expr; $($test:ident)*) => {
        mod $engine {
            $(#[test] fn $test() { crate::suite::$test(&$rig) })*
        }
    };
}

macro_rules! every_engine {
    ($($test:ident)*) => {
        on! { ipc: crate::rig::ipc(); $($test)* }
        on! { tcp: crate::rig::tcp(); $($test)* }
        on! { curve: crate::rig::curve(); $($test)* }
        on! { inproc: crate::rig::inproc(); $($test)* }
        on! { memory: crate::rig::memory(); $($test)* }
    };
}

every_engine! {
    welcome_comes_first
    topics_match_by_prefix
    unsubscribing_takes_one_back
    subscriptions_are_told_in_order
    many_subscriptions_all_stand
    the_uplink_keeps_order
    large_frames_pass
    every_size_passes
    a_full_queue_refuses_for_all
    two_parts_are_one_message
    a_disconnected_peer_comes_back
    the_end_comes_after_what_was_queued
    a_new_server_is_found
    clients_may_come_first
    nobody_is_there_yet
    a_reset_uplink_starts_anew
    wakers_interrupt
    an_address_has_one_server
}
