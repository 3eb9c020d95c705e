//! One piece of work, so many times: what `benches/instructions.sh` has callgrind count.

use std::hint::black_box;

use events::catalog::{AnyEvent, ClientUid};
use events::{Catalog, Event, Reader};
use serde::Serialize;

#[allow(dead_code, unreachable_pub, reason = "shared by several benches")]
mod common;

use common::Dispatch;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let (Some(work), Some(times)) = (arguments.next(), arguments.next()) else {
        // As `cargo bench` calls it: with nothing to count there is nothing to do.
        return println!("see benches/instructions.sh");
    };
    let times: u64 = times.parse().expect("how many times");
    let event = common::client_uid();
    let payload = common::put(&event);
    let mut out = Vec::with_capacity(1_024);
    let mut dispatch = match work.as_str() {
        "dispatch-1" => Some(Dispatch::new(1, 0)),
        "dispatch-10" => Some(Dispatch::new(10, 0)),
        "dispatch-1000" => Some(Dispatch::new(1_000, 0)),
        "dispatch-names-1000" => Some(Dispatch::new(1, 1_000)),
        _ => None,
    };
    // Made before, so that making them is not counted with each.
    let mut frames: Vec<_> =
        dispatch.iter_mut().flat_map(|d| (0..2_000).map(|_| d.frame()).collect::<Vec<_>>()).collect();
    frames.reverse();
    let text = common::catalog(100);
    for _ in 0..times {
        match (work.as_str(), &mut dispatch) {
            (_, Some(dispatch)) => dispatch.step(frames.pop().expect("fewer than 2,000 times")),
            ("encode", _) => {
                out.clear();
                black_box(&event).put(&mut out).expect("it can be put");
                black_box(&out);
            }
            ("decode", _) => drop(black_box(common::take::<ClientUid>(black_box(&payload)))),
            ("encode-serde", _) => {
                out.clear();
                black_box(&event).serialize(&mut rmp_serde::Serializer::new(&mut out)).expect("it can be put");
                black_box(&out);
            }
            ("decode-serde", _) => {
                drop(black_box(rmp_serde::from_slice::<ClientUid>(black_box(&payload)).expect("it was put")));
            }
            ("take-any", _) => {
                let taken = <AnyEvent as Catalog>::take(black_box("CLIENT_UID"), &mut Reader::new(black_box(&payload)));
                drop(black_box(taken.expect("it was put")));
            }
            ("codegen-100", _) => drop(black_box(common::generate(black_box(&text)))),
            (other, _) => panic!("`{other}` is not measured"),
        }
    }
}
