//! Hands on where libsodium was built.
#![forbid(unsafe_code)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set by libsodium-sys-stable when it builds its bundled source, and by its pkg-config variant.
    for (from, to) in [
        ("DEP_SODIUM_INCLUDE", "SODIUM_INCLUDE"),
        ("DEP_SODIUM_LIB", "SODIUM_LIB"),
    ] {
        if let Ok(folder) = std::env::var(from) {
            println!("cargo::rustc-env={to}={folder}");
        }
    }
}
