//! What is measured, for the clock (`dispatch.rs`, `codegen.rs`) and for callgrind (`instructions.rs`).

use std::fmt::Write as _;
use std::hint::black_box;

use events::catalog::{AnyEvent, ClientUid};
use events::{Event, Receive};
use events_core::delivery::subscriber::Step;
use events_core::dispatch::handling::Handling;
use events_core::engine::Frame;
use events_core::frame::{self, Header};

/// Records of one frame.
pub const RECORDS: u64 = 10;

/// An event as it is in programs.
pub fn client_uid() -> ClientUid {
    ClientUid::new("5f2b8e3c")
}

/// The handlers of one client, and the frames of one publisher for them.
pub struct Dispatch {
    handling: Handling,
    sequence: u64,
}

impl Dispatch {
    /// So many handlers of one event, beside one each of so many others.
    pub fn new(handlers: u64, others: u64) -> Dispatch {
        let mut handling = Handling::default();
        for registration in 0..handlers {
            handling.add_typed::<ClientUid>(registration, |event| {
                black_box(event.payload());
            });
        }
        for other in handlers..handlers + others {
            handling.add(other, Some(&format!("OTHER_{other}")));
        }
        for registration in 0..handlers + others {
            handling.step(Step::Activate { registration, retained: None, sequences: Vec::new(), streams: Vec::new() });
        }
        Dispatch { handling, sequence: 0 }
    }

    /// One handler of all events of the catalog.
    pub fn any() -> Dispatch {
        let mut handling = Handling::default();
        handling.add_any::<AnyEvent>(0, |event| {
            black_box(event.payload());
        });
        handling.step(Step::Activate { registration: 0, retained: None, sequences: Vec::new(), streams: Vec::new() });
        Dispatch { handling, sequence: 0 }
    }

    /// The next frame.
    pub fn frame(&mut self) -> Step {
        let header = Header {
            flags: 0,
            publisher: 1,
            position: self.sequence / RECORDS + 1,
            sequence: self.sequence,
            fingerprint: ClientUid::<String>::INFO.fingerprint,
            sent_at: 0,
        };
        self.sequence += RECORDS;
        let mut bytes = Vec::new();
        frame::begin(&mut bytes, ClientUid::<String>::INFO.name, &header);
        for _ in 0..RECORDS {
            client_uid().put(&mut bytes).expect("a short text can be put");
        }
        Step::Frame(Frame::new(bytes))
    }

    /// Hands it out.
    pub fn step(&mut self, step: Step) {
        assert!(self.handling.step(step).is_empty(), "nothing goes wrong");
    }
}

/// Takes what [`put`] made.
pub fn take<E: Receive>(bytes: &[u8]) -> E {
    E::take(&mut events::Reader::new(bytes)).expect("it was put")
}

/// The payload of an event.
pub fn put(event: &impl Event) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_024);
    event.put(&mut bytes).expect("it can be put");
    bytes
}

/// A catalog of so many events.
pub fn catalog(events: usize) -> String {
    let mut text = "[catalog]\nname = \"many\"\n".to_owned();
    for number in 0..events {
        let _ = write!(
            text,
            "\n[events.EVENT_NUMBER_{number}]\ndoc = \"Event number {number}.\"\n\
             fields = {{ uid = \"string\", count = \"u64\", note = \"string?\" }}\n"
        );
    }
    text
}

/// From the catalog's text to Rust source.
pub fn generate(text: &str) -> String {
    let source = events_codegen::Source::new("many.toml", text.to_owned());
    events_codegen::Catalog::parse(&source).expect("it is a catalog").to_source("many.toml")
}
