//! What a forked child inherits is not its to use: libzmq notices, and leaves what it shares with its parent alone.

use std::os::fd::AsFd;

use super::*;

/// What the child does to a parent that may not feel it.
fn in_a_child(act: impl FnOnce()) -> c_int {
    // SAFETY: the child runs `act` and leaves without what the test harness had to do at its end. If it hangs the
    // alarm ends it.
    unsafe {
        let child = libc::fork();
        assert_ne!(child, -1, "{}", io::Error::last_os_error());
        if child == 0 {
            libc::alarm(20);
            act();
            libc::_exit(0);
        }
        let mut status = -1;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        status
    }
}

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
        let status = in_a_child(|| _ = push.send(Message::copy_of(b"of the child").expect("memory"), false, false));
        assert_eq!(status, 0, "the child ends by itself");
        exchange(&push, &pull);
    }
    let status = in_a_child(|| {
        // SAFETY: the child's copies, which nobody uses or drops but here.
        unsafe {
            drop(std::ptr::read(&raw const push));
            drop(std::ptr::read(&raw const pull));
        }
    });
    assert_eq!(status, 0, "the child ends by itself");
    exchange(&push, &pull);
}
