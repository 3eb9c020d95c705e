//! The command, as a shell sees it: what it prints and how it ends.

use std::process::Command;

use serde_json::{Value, json};

#[path = "../../tests/common/mod.rs"]
mod common;

use common::{LIMIT, Process};

/// Addresses in a folder of this test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a folder"))
    }

    fn address(&self, file: &str) -> String {
        format!("ipc://{}", self.0.path().join(file).display())
    }

    fn events(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_events"));
        let at = [("EVENTS_EMIT_ADDR", self.address("emit")), ("EVENTS_REG_ADDR", self.address("reg"))];
        command.args(arguments).envs(at).env("EVENTS_CONFIG_DIR", self.0.path().join("keys")).env_remove("EVENTS_LOG");
        command
    }

    fn start(&self, arguments: &[&str]) -> Process {
        Process::start_with_errors(&mut self.events(arguments))
    }

    fn server(&self) -> Process {
        let server = self.start(&["server"]);
        assert!(server.line().starts_with('{'));
        server
    }

    /// A listener that has registered.
    fn listener(&self, arguments: &[&str]) -> Process {
        let all: Vec<&str> = ["listen", "--timeout", "50"].iter().chain(arguments).copied().collect();
        let listener = self.start(&all);
        while listener.error() != "ready" {}
        listener
    }

    /// Runs it to its end: exit code, stdout and stderr.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.events(arguments).output().expect("the command runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

fn signal(process: &Process, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.pid().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

#[test]
fn a_server_says_where_it_is_and_drains_when_told_to_end() {
    for name in ["TERM", "INT"] {
        let place = Place::new();
        let mut server = place.start(&["server"]);
        let ready: Value = serde_json::from_str(&server.line()).expect("a line of JSON");
        let expected =
            json!({ "emit_addr": place.address("emit"), "reg_addr": place.address("reg"), "pid": server.pid() });
        assert_eq!(ready, expected);
        signal(&server, name);
        assert_eq!(server.end(), Some(0));
    }
}

#[test]
fn a_server_without_enough_descriptors_says_so() {
    let place = Place::new();
    let command = place.events(&["server"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 128 && exec \"$0\" server"]).arg(command.get_program());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = limited.output().expect("a shell");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("128 open files") && error.contains("ulimit -n"), "{error}");
}

#[test]
fn a_port_that_was_left_open_is_told() {
    let place = Place::new();
    let server = place.start(&["server", "--emit-addr", "tcp://127.0.0.1:0", "--reg-addr", "tcp://127.0.0.1:*"]);
    let ready: Value = serde_json::from_str(&server.line()).expect("a line of JSON");
    for key in ["emit_addr", "reg_addr"] {
        let address = ready[key].as_str().expect("an address");
        let port = address.strip_prefix("tcp://127.0.0.1:").expect("this host").parse::<u16>();
        assert!(port.is_ok_and(|port| port > 0), "{address}");
    }
}

#[test]
fn of_two_servers_the_second_fails_or_stands_by() {
    let place = Place::new();
    let mut first = place.server();
    let (code, _, error) = place.run(&["server"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("another events server") && error.contains("--standby"), "{error}");

    let mut second = place.start(&["server", "--standby"]);
    assert!(second.error().contains("standing by"));
    signal(&first, "TERM");
    assert_eq!(first.end(), Some(0));
    assert!(second.line().contains(&second.pid().to_string()));
    signal(&second, "TERM");
    assert_eq!(second.end(), Some(0));
}

#[test]
fn what_is_emitted_is_listened_to() {
    let place = Place::new();
    let _server = place.server();
    let mut listener = place.listener(&["CLIENT_UID", "MAIL_UNREAD_MESSAGES", "--count", "3", "--format", "json"]);
    for arguments in [
        &["emit", "CLIENT_UID", "uid=a=b c"][..],
        &["emit", "RAISE_WINDOW"],
        &["emit", "MAIL_UNREAD_MESSAGES", r#"{"userid": "me", "number": 18446744073709551615}"#],
        &["emit", "CLIENT_UID", "uid="],
    ] {
        assert_eq!(place.run(arguments), (Some(0), String::new(), String::new()), "{arguments:?}");
    }
    let mut payloads = Vec::new();
    for _ in 0..3 {
        let line: Value = serde_json::from_str(&listener.line()).expect("a line of JSON");
        let keys: Vec<&String> = line.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["event", "payload", "publisher", "sequence", "sent_at", "retained"]);
        assert_eq!((&line["sequence"], &line["retained"]), (&json!(0), &json!(false)));
        assert_eq!(line["publisher"].as_str().map(str::len), Some(16));
        payloads.push((line["event"].clone(), line["payload"].clone()));
    }
    let unread = json!({ "userid": "<secret>", "number": u64::MAX });
    let expected = [
        (json!("CLIENT_UID"), json!({ "uid": "a=b c" })),
        (json!("MAIL_UNREAD_MESSAGES"), unread),
        (json!("CLIENT_UID"), json!({ "uid": "" })),
    ];
    assert_eq!(payloads, expected);
    assert_eq!(listener.end(), Some(0));
}

#[test]
fn secrets_are_shown_when_asked_for() {
    let place = Place::new();
    let _server = place.server();
    assert_eq!(place.run(&["emit", "MAIL_UNREAD_MESSAGES", "userid=me", "number=3"]).0, Some(0));
    // Retained: whoever comes late gets it.
    for (flag, shown) in [("--verbose", "<secret>"), ("--show-secrets", "me")] {
        let arguments = ["listen", "MAIL_UNREAD_MESSAGES", "--count", "1", "--timeout", "50", "--format", "json", flag];
        let (code, out, error) = place.run(&arguments);
        assert_eq!(code, Some(0), "{error}");
        let line: Value = serde_json::from_str(&out).expect("a line of JSON");
        assert_eq!(line["payload"], json!({ "userid": shown, "number": 3 }));
        assert_eq!(line["retained"], true);
    }
    let (_, text, _) = place.run(&["listen", "MAIL_UNREAD_MESSAGES", "--count", "1", "--timeout", "50"]);
    assert!(
        text.contains("MAIL_UNREAD_MESSAGES  userid=\"<secret>\"  number=3") && text.contains("retained"),
        "{text}"
    );
}

#[test]
fn a_catalog_is_used_without_compiling() {
    const CATALOG: &str = r#"
        [catalog]
        name = "shop"
        namespace = "shop"
        [types.State]
        variants = ["sent", "lost"]
        [events.PARCEL]
        fields = { state = "State", tags = "[string]", note = { type = "string?", secret = true }, at = "timestamp?" }
    "#;
    let place = Place::new();
    let file = place.0.path().join("shop.toml");
    std::fs::write(&file, CATALOG).expect("a file");
    let file = file.to_str().expect("a path");
    let _server = place.server();
    let mut known = place.listener(&["--catalog", file, "--count", "1", "--format", "json"]);
    let mut unknown = place.listener(&["--count", "1", "--format", "json"]);
    let mut curious = place.listener(&["--count", "1", "--format", "json", "--show-secrets"]);

    let emit = ["emit", "--catalog", file, "shop.PARCEL", "state=sent", r#"tags=["a"]"#, "note=fragile"];
    assert_eq!(place.run(&emit), (Some(0), String::new(), String::new()));
    let payload = |listener: &Process| -> Value {
        let line: Value = serde_json::from_str(&listener.line()).expect("a line of JSON");
        line["payload"].clone()
    };
    assert_eq!(payload(&known), json!({ "state": "sent", "tags": ["a"], "note": "<secret>", "at": null }));
    // Without its catalog nobody knows what in it is secret.
    assert_eq!(payload(&unknown), "<withheld>");
    assert!(unknown.error().contains("not in the catalog"));
    assert_eq!(payload(&curious), json!(["sent", ["a"], "fragile", null]));
    for listener in [&mut known, &mut unknown, &mut curious] {
        assert_eq!(listener.end(), Some(0));
    }
}

#[test]
fn a_listener_that_waits_in_vain_fails() {
    let place = Place::new();
    let _server = place.server();
    let timed = ["listen", "CLIENT_UID", "--timeout", "0.2"];
    assert_eq!(place.run(&timed).0, Some(0));
    let counted = [&timed[..], &["--count", "1"]].concat();
    assert_eq!(place.run(&counted).0, Some(1));
}

#[test]
fn without_a_server_both_ends_say_so() {
    let place = Place::new();
    let (code, _, error) = place.run(&["emit", "RAISE_WINDOW", "--timeout", "0.2"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("events server"), "{error}");
    assert_eq!(place.run(&["listen", "--timeout", "0.2"]).0, Some(1));
}

#[test]
fn a_listener_is_told_to_end_or_nobody_reads_it() {
    let place = Place::new();
    let _server = place.server();
    let mut told = place.listener(&["CLIENT_UID"]);
    signal(&told, "INT");
    assert_eq!(told.end(), Some(0));

    let mut program = place.events(&["listen", "CLIENT_UID", "--timeout", "50"]);
    let mut unread = program
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the command runs");
    let errors = unread.stderr.take().expect("its stderr");
    let mut errors = std::io::BufRead::lines(std::io::BufReader::new(errors));
    assert_eq!(errors.next().and_then(Result::ok).as_deref(), Some("ready"));
    drop(unread.stdout.take());
    let until = std::time::Instant::now() + LIMIT;
    let status = loop {
        assert_eq!(place.run(&["emit", "CLIENT_UID", "uid=x"]).0, Some(0));
        if let Some(status) = unread.try_wait().expect("it can be waited for") {
            break status;
        }
        assert!(std::time::Instant::now() < until, "it goes on");
    };
    assert_eq!(status.code(), Some(0));
    assert!(errors.next().is_none(), "it ends quietly");
}

#[test]
fn a_listener_ends_also_when_its_reader_does_not_read() {
    let place = Place::new();
    let _server = place.server();
    let mut program = place.events(&["listen", "CLIENT_UID"]);
    let (out, err) = (std::process::Stdio::piped(), std::process::Stdio::piped());
    let mut unread = program.stdout(out).stderr(err).spawn().expect("the command runs");
    let errors = std::io::BufReader::new(unread.stderr.take().expect("its stderr"));
    assert_eq!(std::io::BufRead::lines(errors).next().and_then(Result::ok).as_deref(), Some("ready"));
    // More than a pipe holds.
    let uid = format!("uid={}", "x".repeat(100_000));
    for _ in 0..3 {
        assert_eq!(place.run(&["emit", "CLIENT_UID", &uid]).0, Some(0));
    }
    let status = Command::new("kill").args(["-TERM", &unread.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
    let until = std::time::Instant::now() + LIMIT;
    while unread.try_wait().expect("it can be waited for").is_none() {
        assert!(std::time::Instant::now() < until, "it goes on");
        std::thread::yield_now();
    }
    assert_eq!(unread.wait().expect("it has ended").code(), Some(0));
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<String> {
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    children.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_bench_or_demonstration_that_loses_a_part_fails() {
    let place = Place::new();
    for arguments in [&["bench", "--events", "10000000000"][..], &["demo", "--rounds", "1000"]] {
        for part in 0..3 {
            let mut bench = place.start(arguments);
            let until = std::time::Instant::now() + LIMIT;
            while children(bench.pid()).len() < 3 {
                assert!(std::time::Instant::now() < until, "its parts do not start");
                std::thread::yield_now();
            }
            let status = Command::new("kill").args(["-KILL", &children(bench.pid())[part]]).status();
            assert!(status.expect("kill runs").success());
            assert_eq!(bench.end(), Some(1), "{arguments:?}, part {part}");
        }
    }
}

#[test]
fn the_demonstration_shows_what_it_says() {
    let place = Place::new();
    let (code, out, error) = place.run(&["demo", "--rounds", "2"]);
    assert_eq!(code, Some(0), "{error}");
    let said: Vec<&str> = out.lines().map(str::trim).collect();
    let figure = |name: &str| said.iter().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    assert_eq!((figure("emitted"), figure("delivered"), figure("lost")), (Some("96"), Some("192"), Some("0")));
}

#[test]
fn the_bench_counts() {
    let place = Place::new();
    for mode in ["throughput", "latency"] {
        let load = ["--publishers", "2", "--subscribers", "2", "--types", "3", "--events", "300", "--size", "100"];
        let (code, out, error) = place.run(&[&["bench", "--raw", "--json", "--mode", mode][..], &load].concat());
        assert_eq!(code, Some(0), "{error}");
        let found: Value = serde_json::from_str(&out).expect("JSON");
        let figures = (&found["emitted"], &found["delivered"], &found["lost"]);
        assert_eq!(figures, (&json!(600), &json!(1200), &json!(0)));
        assert!(found["events_per_s"].as_f64() > Some(0.0) && found["mb_per_s"].as_f64() > Some(0.0));
        for key in ["p50", "p99", "p999"] {
            assert!(found["latency_us"][key].as_f64() > Some(0.0), "{out}");
        }
        let raw = &found["raw"];
        assert_eq!((&raw["emitted"], &raw["delivered"], &raw["lost"]), (&json!(600), &json!(1200), &json!(0)));
        assert!(found["ratio"].as_f64() > Some(0.0));
    }
}

#[test]
fn keys_come_and_go() {
    let place = Place::new();
    let json = |arguments: &[&str]| -> Value {
        let (code, out, error) = place.run(&[&["keys", "--json"][..], arguments].concat());
        assert_eq!(code, Some(0), "{arguments:?}: {error}");
        serde_json::from_str(&out).expect("JSON")
    };
    let shown = json(&["show"]);
    let own = json(&["list"]);
    assert_eq!(own, json!([{ "name": "own", "key": shown["client"] }]));

    let made = json(&["new", "laptop"]);
    let (secret, public) = (made["secret"].as_str().expect("a path"), made["public"].as_str().expect("a path"));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(secret).expect("a file"));
    assert_eq!(mode & 0o777, 0o600);
    let (code, _, error) = place.run(&["keys", "new", "laptop"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("is there already"), "{error}");

    // Of a secret certificate the public half is enough, and nothing else is copied.
    let allowed = json(&["allow", secret, "--name", "travel"]);
    let filed = place.0.path().join("keys/clients/travel.key");
    let text = std::fs::read_to_string(filed).expect("a certificate");
    let theirs = std::fs::read_to_string(secret).expect("a certificate");
    let secret_key = theirs.lines().find_map(|line| line.split_once("secret-key = ")).expect("a secret").1;
    assert!(text.contains(allowed["key"].as_str().expect("a key")) && !text.contains(secret_key));
    assert_eq!(json(&["allow", public])["name"], "laptop");
    assert_eq!(json(&["list"]).as_array().map(Vec::len), Some(3), "each name is shown");

    // For some events only; what is not said again stays.
    let limited = json(&["allow", public, "--emit", "MAIL_*", "--emit", "CLIENT_UID", "--register", ""]);
    assert_eq!((&limited["emit"], &limited["register"]), (&json!(["MAIL_*", "CLIENT_UID"]), &json!([])));
    let wider = json(&["allow", public, "--register", "*"]);
    assert_eq!((&wider["emit"], &wider["register"]), (&limited["emit"], &Value::Null));
    assert_eq!(json(&["show"])["limited"], json!(1));
    let (_, listed, _) = place.run(&["keys", "list"]);
    assert!(listed.contains("may emit only MAIL_*, CLIENT_UID"), "{listed}");
    for wrong in [&["MA*L"][..], &["MAIL *"], &["MAIL_*", "--emit", "*"]] {
        assert_eq!(place.run(&[&["keys", "allow", public, "--emit"], wrong].concat()).0, Some(2), "{wrong:?}");
    }
    let (_, said, _) = place.run(&["keys", "allow", public]);
    assert!(
        said.contains("may emit only MAIL_*, CLIENT_UID\n") && said.contains("register for everything\n"),
        "{said}"
    );

    assert_eq!(json(&["revoke", "travel"])["still_allowed_as"], json!(["laptop"]));
    json(&["revoke", "laptop"]);
    assert_eq!(json(&["list"]), own);
    let (code, _, error) = place.run(&["keys", "revoke", "laptop"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("own"), "it says whose keys there are: {error}");
    for (code, arguments) in [(1, ["keys", "new", "../laptop"]), (1, ["keys", "allow", "/nowhere.key"])] {
        assert_eq!(place.run(&arguments).0, Some(code), "{arguments:?}");
    }
}

/// The walk of docs/keys.md, with two folders of keys for two machines.
#[test]
fn two_machines_swap_keys() {
    let (desk, lap) = (Place::new(), Place::new());
    for place in [&desk, &lap] {
        assert_eq!(place.run(&["keys", "show"]).0, Some(0));
    }
    let file = |place: &Place, name: &str| place.0.path().join("keys").join(name);
    let server = desk.start(&["server", "--emit-addr", "tcp://127.0.0.1:0", "--reg-addr", "tcp://127.0.0.1:0"]);
    let ready: Value = serde_json::from_str(&server.line()).expect("JSON");
    let at = |name: &str| ready[name].as_str().expect("an address").to_owned();
    let (emit, reg) = (at("emit_addr"), at("reg_addr"));
    let place = ["--emit-addr", &emit, "--reg-addr", &reg];
    let send = |place: &[&str]| lap.run(&[&["emit", "CLIENT_UID", "uid=me", "--timeout", "4"][..], place].concat());

    // Without the server's key the client takes it for its own server's, and gets nowhere.
    let (code, _, error) = send(&place);
    assert_eq!(code, Some(1), "{error}");
    std::fs::create_dir(file(&lap, "servers")).expect("a folder");
    std::fs::copy(file(&desk, "server.key"), file(&lap, "servers/127.0.0.1.key")).expect("a copy");
    // With it the server is known, but not the client.
    let (code, _, error) = send(&place);
    assert!(code == Some(1) && error.contains("refuses this client"), "{error}");

    let carried = desk.0.path().join("lap.key");
    std::fs::copy(file(&lap, "client.key"), &carried).expect("a copy");
    assert_eq!(desk.run(&["keys", "allow", carried.to_str().expect("a path")]).0, Some(0));
    let listener = lap.start(&[&["listen", "CLIENT_UID", "--count", "1", "--timeout", "50"][..], &place].concat());
    while listener.error() != "ready" {}
    let (code, _, error) = send(&place);
    assert_eq!(code, Some(0), "{error}");
    assert!(listener.line().contains("CLIENT_UID"));

    assert_eq!(desk.run(&["keys", "revoke", "lap"]).0, Some(0));
    let (code, _, error) = send(&place);
    assert!(code == Some(1) && error.contains("refuses this client"), "{error}");
}

/// What is said on wrong usage, and the help: `EVENTS_UPDATE_GOLDENS=1 cargo test -p events-cli` writes it anew.
#[test]
fn wrong_usage_is_explained() {
    let place = Place::new();
    let mistakes = place.0.path().join("mistakes.toml");
    std::fs::write(&mistakes, "[catalog]\nname = \"x\"\n[events.A]\nfields = { a = \"strng\", b = \"[u8]\" }\n")
        .expect("a file");
    let mistakes = mistakes.to_str().expect("a path");
    for (name, code, arguments) in [
        ("help", 0, &["--help"][..]),
        ("help-demo", 0, &["demo", "--help"]),
        ("help-server", 0, &["server", "--help"]),
        ("help-listen", 0, &["listen", "--help"]),
        ("help-emit", 0, &["emit", "--help"]),
        ("help-keys", 0, &["keys", "--help"]),
        ("help-bench", 0, &["bench", "--help"]),
        ("wrong-size", 2, &["bench", "--size", "7"]),
        ("no-command", 2, &[]),
        ("unknown-event", 2, &["emit", "CLIENT_UDI", "uid=a"]),
        ("unknown-event-far-off", 2, &["listen", "NOTHING_LIKE_IT"]),
        ("unknown-field", 2, &["emit", "CLIENT_UID", "udi=a"]),
        ("two-mistakes", 2, &["emit", "MAIL_UNREAD_MESSAGES", "number=many", "when=now"]),
        ("missing-field", 2, &["emit", "CLIENT_UID"]),
        ("wrong-type", 2, &["emit", "CLIENT_UID", r#"{"uid": 5}"#]),
        ("no-json", 2, &["emit", "CLIENT_UID", "{uid: 5}"]),
        ("no-pair", 2, &["emit", "CLIENT_UID", "abc"]),
        ("wrong-seconds", 2, &["listen", "--timeout", "soon"]),
        ("wrong-catalog", 1, &["listen", "--catalog", mistakes]),
        ("wrong-address", 1, &["server", "--emit-addr", "udp://x", "--reg-addr", "udp://y"]),
        ("allowed-over-ipc", 2, &["server", "--allow-from", "192.168.0.0/16"]),
        ("wrong-range", 2, &["server", "--allow-from", "192.168.0.0/60"]),
        ("wrong-port", 1, &["server", "--emit-addr", "tcp://127.0.0.1:port", "--reg-addr", "tcp://127.0.0.1:9001"]),
    ] {
        let (ended, out, error) = place.run(arguments);
        assert_eq!(ended, Some(code), "{name}: {out}{error}");
        let text = format!("{out}{error}").replace(mistakes, "mistakes.toml");
        golden(name, &text);
    }
}

fn golden(name: &str, text: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    if std::env::var_os("EVENTS_UPDATE_GOLDENS").is_some_and(|value| value == "1") {
        std::fs::write(file, text).expect("the golden is written");
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, expected, "{} is out of date", file.display());
}
