//! What the compiler says to whoever makes a mistake: one file per message.
//!
//! The messages change only when asked: `TRYBUILD=overwrite cargo test --test ui`.

#[test]
fn mistakes_are_told_at_compile_time() {
    let tests = trybuild::TestCases::new();
    tests.pass("tests/ui/pass/*.rs");
    tests.compile_fail("tests/ui/fail/*.rs");
}
