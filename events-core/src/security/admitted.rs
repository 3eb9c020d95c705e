//! Whose key is among those that may connect.
//!
//! ```text
//!  every 250 ms, and for who connects ─▶ did the folder change, or the system tell of a file in it? is a look due? ─▶ look at
//!  each file: is anything new? ─▶ read them all
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use super::watch::Watch;
use super::{Keys, SecurityError};
use crate::permission::{Names, Permission};

/// How often the files are looked at, and not the folder alone.
const LOOK: Duration = Duration::from_millis(200);
/// How much longer than a look the time to the next is when nothing is told: thousands of files are not to keep a server busy
/// that has nothing to do.
const RARELY: u32 = 2_000;

/// The keys that may connect, read again whenever the folder has changed.
pub(crate) struct Admitted {
    keys: Keys,
    clients: HashMap<String, Permission>,
    /// The state the folder was in when it was read.
    read: Option<u64>,
    watch: Watch,
    /// The system told that something happened since the last look.
    told: bool,
    /// When each file was last looked at.
    looked: Option<Instant>,
    /// How long that is to suffice if nothing is told.
    suffices: Duration,
    /// When the folder itself had last changed by then: a name came or went.
    changed: Option<SystemTime>,
}

/// What happened to the keys that may connect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// One of them was taken away.
    pub(crate) lost: bool,
}

impl Admitted {
    pub(crate) fn new(keys: Keys) -> Admitted {
        Admitted {
            keys,
            clients: HashMap::new(),
            read: None,
            watch: Watch::default(),
            told: false,
            looked: None,
            suffices: LOOK,
            changed: None,
        }
    }

    /// Whether `key` may connect.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.clients.contains_key(key)
    }

    /// Whether there is a key that may not register for everything.
    pub(crate) fn restricts_hearing(&self) -> bool {
        self.clients.values().any(|permission| permission.register != Names::All)
    }

    /// What the holder of `key` may do.
    pub(crate) fn permission(&self, key: &str) -> Option<&Permission> {
        self.clients.get(key)
    }

    /// Reads the keys again if the folder has changed, and says whether they have.
    pub(crate) fn refresh(&mut self) -> Result<Option<Change>, SecurityError> {
        let folder = self.keys.clients_folder()?;
        let changed = std::fs::metadata(&folder).and_then(|folder| folder.modified()).ok();
        self.told |= self.watch.told();
        let suffices = if self.told { LOOK } else { self.suffices };
        let fresh = self.looked.is_some_and(|at| at.elapsed() < suffices);
        if fresh && changed.is_some() && changed == self.changed && self.read.is_some() {
            return Ok(None);
        }
        let began = Instant::now();
        self.watch.follow(&folder);
        // What is told from here on is perhaps not seen.
        self.told = false;
        self.changed = changed;
        // A folder that cannot be looked at is read, which says why.
        let state = self.keys.state_of_clients().ok();
        self.looked = Some(Instant::now());
        self.suffices = LOOK.max(began.elapsed() * RARELY);
        if state.is_some_and(|(state, _)| Some(state) == self.read) {
            return Ok(None);
        }
        // Where that fails it is tried again for each who connects.
        self.read = None;
        let clients = self.keys.clients()?;
        let lost = self.clients.keys().any(|key| !clients.contains_key(key));
        let change = (clients != self.clients).then_some(Change { lost });
        self.clients = clients;
        // Clocks of file systems tick slowly: a second change may carry the time of the first. So a
        // state counts only when it lies behind us.
        let settled = |at: SystemTime| at.elapsed().is_ok_and(|age| age > Duration::from_millis(100));
        self.read = state.filter(|&(_, newest)| settled(newest)).map(|(state, _)| state);
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::security::KeyPair;

    /// As if it had changed long ago.
    fn settle(path: &Path) {
        let long_ago = SystemTime::now() - Duration::from_secs(3_600);
        File::open(path).and_then(|file| file.set_modified(long_ago)).expect("a time can be set");
    }

    /// A folder of keys with one in it, that was read, and whose last look suffices for an hour.
    fn looked_at() -> (tempfile::TempDir, std::path::PathBuf, Admitted) {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::at(folder.path().join("keys"));
        keys.client().expect("a pair of keys");
        let clients = keys.clients_folder().expect("a folder");
        let file = fs::read_dir(&clients).expect("the folder").flatten().next().expect("the own key").path();
        settle(&file);
        settle(&clients);
        let mut admitted = Admitted::new(keys);
        assert!(admitted.refresh().expect("readable").is_some(), "a key has come");
        // The watch tells of the times that were set, if it was there.
        admitted.refresh().expect("readable");
        assert!(admitted.read.is_some());
        admitted.suffices = Duration::from_secs(3_600);
        (folder, file, admitted)
    }

    /// Makes the last look an old one.
    fn later(admitted: &mut Admitted) -> Instant {
        let before = Instant::now().checked_sub(2 * LOOK).expect("the machine has run for so long");
        admitted.looked = Some(before);
        before
    }

    #[test]
    fn nothing_is_looked_at_while_nothing_is_told() {
        let (_folder, _, mut admitted) = looked_at();
        let before = later(&mut admitted);
        assert!(admitted.refresh().expect("readable").is_none());
        assert_eq!(admitted.looked, Some(before));
    }

    #[test]
    fn what_is_written_into_a_file_that_is_there_counts_at_the_next_refresh() {
        let (_folder, file, mut admitted) = looked_at();
        later(&mut admitted);
        let other = KeyPair::new(&"1".repeat(40), &"2".repeat(40)).expect("a pair").public().to_certificate();
        fs::write(&file, other).expect("written in place");
        let change = admitted.refresh().expect("readable").expect("another key");
        assert!(change.lost && admitted.has(&"1".repeat(40)));
    }

    #[test]
    fn a_folder_that_is_not_safe_lets_nobody_in_until_it_is() {
        let (_folder, file, mut admitted) = looked_at();
        let clients = file.parent().expect("a folder");
        let mode = |bits| fs::set_permissions(clients, fs::Permissions::from_mode(bits)).expect("a mode");
        mode(0o777);
        fs::copy(&file, clients.join("another.key")).expect("another wrote it");
        later(&mut admitted);
        for _ in 0..3 {
            admitted.refresh().expect_err("others can write to it");
        }
        mode(0o700);
        admitted.refresh().expect("readable");
    }

    #[test]
    fn a_folder_that_stands_in_for_another_is_followed() {
        let (_folder, file, mut admitted) = looked_at();
        let clients = file.parent().expect("a folder");
        fs::rename(clients, clients.with_extension("old")).expect("moved");
        fs::create_dir(clients).expect("made");
        later(&mut admitted);
        assert!(admitted.refresh().expect("readable").expect("no key is left").lost);
        settle(clients);
        admitted.refresh().expect("readable");
        admitted.suffices = Duration::from_secs(3_600);
        fs::copy(clients.with_extension("old").join(file.file_name().expect("a name")), &file).expect("copied");
        settle(clients);
        admitted.changed = fs::metadata(clients).and_then(|folder| folder.modified()).ok();
        later(&mut admitted);
        assert!(admitted.refresh().expect("readable").is_some(), "the new folder's key");
    }
}
