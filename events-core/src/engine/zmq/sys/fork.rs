//! What a forked child inherits is not its to use: libzmq notices, and leaves what it shares with its parent alone.

use std::os::fd::AsFd;

use super::*;
use crate::process::tests::in_a_child;

fn exchange(push: &Socket, pull: &Socket) {
    let bell = eventfd().expect("a descriptor");
    assert!(push.send(Message::copy_of(b"word").expect("memory"), true, false).expect("sent"));
    loop {
        let ([seen], _) = poll([pull], bell.as_fd(), Duration::from_secs(20)).expect("polled");
        assert!(seen, "nothing has come");
        if pull.receive().expect("received").is_some() {
            return;
        }
    }
}

#[test]
fn a_child_that_sends_over_what_it_inherited_and_closes_it_does_nothing_to_its_parent() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("ipc://{}", folder.path().join("pull").display());
    let context = Context::new().expect("libzmq starts");
    let (push, pull) = (context.socket(z::ZMQ_PUSH).expect("a socket"), context.socket(z::ZMQ_PULL).expect("a socket"));
    pull.bind(&address).expect("a free address");
    push.connect(&address).expect("a good address");
    exchange(&push, &pull);
    for _ in 0..20 {
        let sent = || _ = push.send(Message::copy_of(b"of the child").expect("memory"), false, false);
        assert!(in_a_child(sent), "the child ends by itself");
        exchange(&push, &pull);
    }
    let closed = || {
        // SAFETY: the child's copies, which nobody uses or drops but here.
        unsafe {
            drop(std::ptr::read(&raw const push));
            drop(std::ptr::read(&raw const pull));
        }
    };
    assert!(in_a_child(closed), "the child ends by itself");
    exchange(&push, &pull);
}
