//! What a publisher tells a server that has just greeted it.

use rustc_hash::FxHashMap;

use super::{Publisher, Stream};
use crate::control::{Begins, Topic};
use crate::delivery::subscriber::Greeting;
use crate::engine::Frame;
use crate::frame::bundle::{self, views};
use crate::frame::{self, Header, flags};

impl Publisher {
    /// A server greets, and whatever was queued for another connection was thrown away. A run that is new must get
    /// everything there is.
    pub fn greeted(&mut self, greeting: Greeting, epoch: u64) {
        self.epoch = epoch;
        match greeting {
            Greeting::First => self.first.push_front(self.begins()),
            Greeting::Same => {
                self.window.go_back();
                self.tell_again();
            }
            Greeting::New => {
                self.window.start_again();
                self.tell_again();
            }
        }
    }

    /// Where this publisher begins at the server that has greeted it. A frame cannot say that of itself: queued for
    /// another server it would say what was true there.
    fn begins(&self) -> Frame {
        let (oldest, past) = (self.window.first_position(), self.window.past());
        Topic::Begin { publisher: self.id }.message(&Begins { epoch: self.epoch, oldest, past })
    }

    /// What a server that knows nothing must hear before the window: where it begins, the shapes, where the sequences
    /// stand, and the retained events that have left the window. What is open goes into the window before, since what
    /// is counted and not there passes for lost.
    pub(super) fn tell_again(&mut self) {
        self.seal();
        let (in_window, fresh) = self.first_sequences();
        self.first.clear();
        self.first.push_back(self.begins());
        for index in 0..self.streams.len() {
            let stream = &self.streams[index];
            let next = stream.next_sequence;
            let at = |of: &FxHashMap<String, u64>| of.get(&*stream.name).copied().unwrap_or(next);
            let announcement = self.announce(index, at(&in_window), at(&fresh));
            self.first.push_back(announcement);
            if let Some((position, retained)) = &stream.retained
                && *position < self.window.first_position()
            {
                self.first.push_back(Frame::new(bundle::with_flags(retained, |_| flags::TOLD_AGAIN)));
            }
            // No frame in the window will tell those who have missed the end of this stream.
            if next > 0 && !in_window.contains_key(&*stream.name) {
                self.first.push_back(self.stands(stream));
            }
        }
    }

    /// The first sequence of each event in the window, and among what no server has acknowledged.
    fn first_sequences(&self) -> (FxHashMap<String, u64>, FxHashMap<String, u64>) {
        let mut in_window: FxHashMap<String, u64> = FxHashMap::default();
        let mut fresh: FxHashMap<String, u64> = FxHashMap::default();
        for view in self.window.messages().flat_map(|message| views(message)) {
            let Header { position, sequence, .. } = view.header;
            for (firsts, counts) in [(&mut in_window, true), (&mut fresh, position >= self.window.past())] {
                if counts && !firsts.contains_key(view.name()) {
                    firsts.insert(view.name().to_owned(), sequence);
                }
            }
        }
        (in_window, fresh)
    }

    fn stands(&self, stream: &Stream) -> Frame {
        let header = Header {
            flags: flags::STANDS | flags::PAST,
            publisher: self.id,
            position: 0,
            sequence: stream.next_sequence,
            fingerprint: stream.fingerprint,
            sent_at: 0,
        };
        let mut bytes = Vec::new();
        frame::begin(&mut bytes, &*stream.name, &header);
        Frame::new(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Acked;
    use crate::delivery::Limits;
    use crate::delivery::publisher::Kind;
    use crate::frame::View;

    fn emit(publisher: &mut Publisher, name: &str) {
        let kind = Kind { name, fingerprint: 0, retain: false, shape: &String::new };
        let put = &mut |out: &mut Vec<u8>| {
            out.push(0x90);
            Ok(())
        };
        assert!(publisher.record(&kind, || 0, put).is_ok());
    }

    fn frames(publisher: &mut Publisher) -> Vec<(u64, u64, u8)> {
        let messages: Vec<Frame> = std::iter::from_fn(|| publisher.send()).collect();
        let of = |view: View<'_>| (view.header.position, view.header.sequence, view.header.flags);
        messages.iter().flat_map(|message| views(message)).map(of).collect()
    }

    #[test]
    fn what_is_open_is_not_said_to_be_gone() {
        let mut publisher = Publisher::new(1, Limits::default());
        emit(&mut publisher, "A");
        emit(&mut publisher, "B");
        publisher.greeted(Greeting::New, 1);
        assert_eq!(frames(&mut publisher), [(1, 0, 0), (2, 0, 0)]);
    }

    #[test]
    fn a_probe_says_that_it_is_of_an_earlier_servers_time() {
        let mut publisher = Publisher::new(1, Limits::default());
        for name in ["A", "A"] {
            emit(&mut publisher, name);
            publisher.seal();
        }
        frames(&mut publisher);
        publisher.acked(Acked { next: 3, again: false, keep: false });
        publisher.greeted(Greeting::New, 1);
        frames(&mut publisher);
        let probe = publisher.probe().into_iter().collect::<Vec<Frame>>();
        let marks: Vec<u8> = probe.iter().flat_map(|message| views(message)).map(|view| view.header.flags).collect();
        assert_eq!(marks, [flags::PAST]);
    }
}
