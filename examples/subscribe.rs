//! Events in a loop of your own instead of a handler.

use std::error::Error;
use std::thread;

use events::Client;
use events::catalog::SoledadSyncReceiveStatus;

fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::in_memory()?;
    let mut progress = client.subscribe::<SoledadSyncReceiveStatus>()?;

    let emitter = thread::spawn(move || {
        for received in 1..=5 {
            client.emit(SoledadSyncReceiveStatus { uuid: "1f", userid: "me", received, total: 5 })?;
        }
        Ok::<(), events::Error>(())
    });

    // A subscription is also a `futures` Stream, for those who have an async runtime.
    let mut last = 0;
    for event in progress.iter() {
        println!("{} of {}", event.received, event.total);
        assert_eq!(event.received, last + 1);
        last = event.received;
        if event.received == event.total {
            break;
        }
    }
    emitter.join().map_err(|_| "the emitter panicked")??;
    Ok(())
}
