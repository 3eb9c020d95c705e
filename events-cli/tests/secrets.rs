//! A secret is planted in an event and looked for in all that the command prints.

use std::process::Command;

#[path = "../../tests/common/mod.rs"]
mod common;

use common::Process;

const SECRET: &str = "hunter2";
const SECRETS: &str = "tests/secrets.toml";
const PLANTED: &str = r#"{ "plain": 1, "text": "hunter2", "blob": "hex:68756e74657232", "inner": { "name": "hunter2",
    "small": 1 }, "maybe": "hunter2", "list": ["hunter2"], "map": { "hunter2": 1 }, "level": "low", "number": 1,
    "open": { "name": "seen", "hidden": 1 } }"#;

struct Place(tempfile::TempDir);

impl Place {
    /// The command, which logs all that there is to log.
    fn events(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_events"));
        for (variable, file) in [("EVENTS_EMIT_ADDR", "emit"), ("EVENTS_REG_ADDR", "reg")] {
            command.env(variable, format!("ipc://{}", self.0.path().join(file).display()));
        }
        command.args(arguments).env("EVENTS_CONFIG_DIR", self.0.path().join("keys")).env("EVENTS_LOG", "trace");
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        command
    }

    fn listener(&self, arguments: &[&str]) -> Process {
        let all = [&["listen", "--count", "1", "--timeout", "50"], arguments].concat();
        let listener = Process::start_with_errors(&mut self.events(&all));
        loop {
            let line = listener.error();
            if line == "ready" {
                return listener;
            }
            is_clean(&line);
        }
    }

    /// Exit code, and all that was printed.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.events(arguments).output().expect("the command runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).expect("text"))
    }
}

fn is_clean(text: &str) {
    for trace in [SECRET, "104,117,110,116", "104, 117, 110, 116", "68756e74657232"] {
        assert!(!text.contains(trace), "{text}");
    }
}

#[test]
fn only_who_asks_for_secrets_is_shown_them() {
    let place = Place(tempfile::tempdir().expect("a folder"));
    let server = Process::start_with_errors(&mut place.events(&["server", "--verbose"]));
    server.line();
    let listeners = [
        place.listener(&["--catalog", SECRETS, "--format", "json"]),
        place.listener(&["--catalog", SECRETS, "--format", "text"]),
        place.listener(&["--format", "json"]),
        place.listener(&["--format", "text"]),
    ];
    let curious = [
        place.listener(&["--catalog", SECRETS, "--show-secrets"]),
        place.listener(&["--show-secrets", "--format", "json"]),
    ];
    let (code, said) = place.run(&["emit", "--catalog", SECRETS, "SECRET", PLANTED]);
    assert_eq!(code, Some(0), "{said}");
    is_clean(&said);
    for mut listener in listeners {
        let line = listener.line();
        is_clean(&line);
        assert!(line.contains("<secret>") || line.contains("<withheld>"), "{line}");
        assert_eq!(listener.end(), Some(0));
        while let Some(line) = listener.last_error() {
            is_clean(&line);
        }
    }
    for mut listener in curious {
        let line = listener.line();
        // As text, or in bytes of which nobody said that there is text in them.
        assert!(line.contains(SECRET) || line.contains("68756e74657232"), "{line}");
        assert_eq!(listener.end(), Some(0));
    }
    drop(place.run(&["emit", "RAISE_WINDOW"]));
    while let Some(line) = server.heard() {
        is_clean(&line);
    }
}

#[test]
fn a_mistake_in_a_secret_does_not_tell_it() {
    let place = Place(tempfile::tempdir().expect("a folder"));
    for wrong in [
        &["hunter2"][..],
        &["number=hunter2"],
        &["blob=hunter2"],
        &["level=hunter2"],
        &["map={\"hunter2\": \"hunter2\"}"],
        &["open={\"hidden\": \"hunter2\"}"],
        &["{\"inner\": {\"small\": \"hunter2\", \"hunter2\": 1}}"],
    ] {
        let (code, said) = place.run(&[&["emit", "--catalog", SECRETS, "SECRET"], wrong].concat());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("was not emitted"), "{said}");
        is_clean(&said);
    }
}
