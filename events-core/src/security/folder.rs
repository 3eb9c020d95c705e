//! Makes folders for this user alone, and checks those that are there.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use super::SecurityError;
use crate::process::effective_user;

/// Makes `folder` for this user alone, or checks that nobody else can change what is in it.
pub(crate) fn own(folder: &Path) -> Result<(), SecurityError> {
    // The mode counts from the first moment: there is no time in which others could enter.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(SecurityError::io("making the folder", folder))?;
    let found = fs::symlink_metadata(folder).map_err(SecurityError::io("looking at", folder))?;
    let refuse = |why| Err(SecurityError::Unsafe { path: folder.to_owned(), why });
    if !found.file_type().is_dir() {
        return refuse("it is a symbolic link; use a folder of your own, with mode 0700");
    }
    if found.uid() != effective_user() {
        return refuse("it belongs to another user; use a folder of your own, with mode 0700");
    }
    if found.permissions().mode() & 0o022 != 0 {
        return refuse("other users can write to it; use a folder of your own, with mode 0700");
    }
    Ok(())
}
