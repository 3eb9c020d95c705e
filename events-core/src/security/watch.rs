//! Has the system tell what changes in a folder.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::{Errno, read};

/// Notices when files of a folder are made, written, moved or removed.
///
/// Not for certain: a network's file system does not tell what others do, a file with two names may be written under the
/// other one, and the system may have no more watches to give.
#[derive(Default)]
pub(super) struct Watch(Option<OwnedFd>);

impl Watch {
    /// Begins with `folder`, unless that is being watched. Call it before each look at what is in there: another folder may
    /// have its name by now.
    pub(super) fn follow(&mut self, folder: &Path) {
        if self.0.is_none() {
            self.0 = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        }
        let changes = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        if let Some(told) = &self.0 {
            let _ = inotify::add_watch(told, folder, changes | WatchFlags::ONLYDIR);
        }
    }

    /// Whether something has happened since this was asked last.
    pub(super) fn told(&self) -> bool {
        let Some(told) = &self.0 else { return false };
        let mut any = false;
        let mut events = [0; 4096];
        loop {
            match read(told, &mut events) {
                Ok(1..) => any = true,
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => return any,
            }
        }
    }
}
