//! zenoh: a router process between clients, over unix sockets.

use std::collections::HashMap;
use std::sync::mpsc::Receiver;

use anyhow::{Result, anyhow};
use zenoh::qos::CongestionControl;
use zenoh::{Config, Session, Wait};

use super::{Held, Place, Publisher, Wanted, topic};

fn open(at: &Place, mode: &str, way: &str) -> Result<Session> {
    let mut config = Config::default();
    let endpoint = format!("[\"unixsock-stream/{}\"]", at.socket("zenoh"));
    let settings = [
        ("mode", format!("\"{mode}\"")),
        (way, endpoint),
        ("scouting/multicast/enabled", "false".to_owned()),
        ("scouting/gossip/enabled", "false".to_owned()),
    ];
    for (key, value) in settings {
        config.insert_json5(key, &value).map_err(|error| anyhow!("zenoh does not take {key}: {error}"))?;
    }
    zenoh::open(config).wait().map_err(|error| anyhow!("zenoh does not open: {error}"))
}

pub(super) fn serve(at: &Place, ready: impl FnOnce(), end: &Receiver<String>) -> Result<()> {
    let session = open(at, "router", "listen/endpoints")?;
    ready();
    end.iter().for_each(drop);
    drop(session);
    Ok(())
}

struct Sender {
    session: Session,
    publishers: HashMap<usize, zenoh::pubsub::Publisher<'static>>,
}

impl Publisher for Sender {
    fn send(&mut self, kind: usize, data: &[u8]) -> Result<()> {
        let publisher = match self.publishers.entry(kind) {
            std::collections::hash_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let declaring = self.session.declare_publisher(topic(kind));
                let declared = declaring.congestion_control(CongestionControl::Block).express(false).wait();
                new.insert(declared.map_err(|error| anyhow!("no publisher: {error}"))?)
            }
        };
        publisher.put(data).wait().map_err(|error| anyhow!("not put: {error}"))
    }
}

pub(super) fn publisher(at: &Place) -> Result<Box<dyn Publisher>> {
    Ok(Box::new(Sender { session: open(at, "client", "connect/endpoints")?, publishers: HashMap::new() }))
}

pub(super) fn subscribe(at: &Place, wanted: &Wanted) -> Result<Held> {
    let session = open(at, "client", "connect/endpoints")?;
    let mut subscribers = Vec::new();
    for kind in wanted.kinds.all() {
        let sink = wanted.sink();
        let declaring = session.declare_subscriber(topic(kind));
        let declared = declaring.callback(move |sample| sink(&sample.payload().to_bytes())).wait();
        subscribers.push(declared.map_err(|error| anyhow!("no subscriber: {error}"))?);
    }
    Ok(Box::new((subscribers, session)))
}
