//! Hands on where libsodium was built, and compiles it once more if it was not optimised.
//!
//! A build script compiles C as its own package is compiled, and packages under build scripts are not optimised, in release
//! builds either, unless the root of the workspace says so. CURVE over such a libsodium takes ten times as long, and nobody
//! would know why.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What the compiler is told for no optimisation, and what it is told in place of it.
const NOT_OPTIMISED: &str = "-O0";
const OPTIMISED: &str = "-O3";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set by libsodium-sys-stable when it builds its bundled source, and by its pkg-config variant.
    if let Ok(include) = env::var("DEP_SODIUM_INCLUDE") {
        println!("cargo::rustc-env=SODIUM_INCLUDE={include}");
    }
    if let Ok(lib) = env::var("DEP_SODIUM_LIB") {
        let again = compiled_again(Path::new(&lib)).unwrap_or_else(|why| {
            println!(
                "cargo::warning=libsodium is not optimised, so CURVE is slow, and it could not be compiled again: {why}. \
                 `opt-level = 3` under `[profile.release.package.libsodium-sys-stable]` of the workspace helps as well"
            );
            None
        });
        let lib = again.unwrap_or_else(|| lib.into());
        println!("cargo::rustc-env=SODIUM_LIB={}", lib.display());
    }
}

/// Where a libsodium lies that is optimised, if the one in `lib` is not. What the system has is left as it is.
fn compiled_again(lib: &Path) -> io::Result<Option<PathBuf>> {
    // libsodium-sys-stable leaves the source that it has built, configured, beside what it has installed.
    let built = lib.join("../../source/libsodium-stable");
    let Ok(makefile) = fs::read_to_string(built.join("Makefile")) else {
        return Ok(None);
    };
    let flags = makefile.lines().find_map(|line| line.strip_prefix("CFLAGS = ")).unwrap_or_default();
    if !flags.split(' ').any(|flag| flag == NOT_OPTIMISED) {
        return Ok(None);
    }
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    let copy = out.join("libsodium");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    // With their times, or make would configure it anew.
    run(Command::new("cp").arg("-a").args([&built, &copy]))?;
    let library = copy.join("src/libsodium");
    let flags = format!("CFLAGS={}", flags.replace(NOT_OPTIMISED, OPTIMISED));
    let jobs = format!("-j{}", env::var("NUM_JOBS").unwrap_or_else(|_| "1".to_owned()));
    run(Command::new("make").arg("clean").current_dir(&library))?;
    run(Command::new("make").args([&jobs, "libsodium.la", &flags]).current_dir(&library))?;
    Ok(Some(library.join(".libs")))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?} failed: {}", said.lines().last().unwrap_or_default())))
}
