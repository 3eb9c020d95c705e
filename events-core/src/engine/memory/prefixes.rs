//! Finds the topics that a message begins with.

use std::collections::BTreeMap;

/// A value per topic. Looking up costs one step per length of topic there is, however many topics.
#[derive(Debug)]
pub(super) struct Prefixes<V> {
    topics: BTreeMap<Vec<u8>, V>,
    lengths: BTreeMap<usize, usize>,
}

impl<V> Default for Prefixes<V> {
    fn default() -> Prefixes<V> {
        Prefixes { topics: BTreeMap::new(), lengths: BTreeMap::new() }
    }
}

impl<V: Default> Prefixes<V> {
    /// The value of `topic`, which is added if it is new.
    pub(super) fn entry(&mut self, topic: &[u8]) -> &mut V {
        if !self.topics.contains_key(topic) {
            *self.lengths.entry(topic.len()).or_insert(0) += 1;
        }
        self.topics.entry(topic.to_vec()).or_default()
    }

    pub(super) fn get_mut(&mut self, topic: &[u8]) -> Option<&mut V> {
        self.topics.get_mut(topic)
    }

    pub(super) fn remove(&mut self, topic: &[u8]) {
        if self.topics.remove(topic).is_some()
            && let Some(count) = self.lengths.get_mut(&topic.len())
        {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&topic.len());
            }
        }
    }

    /// The values of all topics that `message` begins with.
    pub(super) fn matching<'a>(&'a self, message: &'a [u8]) -> impl Iterator<Item = &'a V> {
        self.lengths.keys().map_while(|&length| message.get(..length)).filter_map(|topic| self.topics.get(topic))
    }

    /// All topics, in byte order.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.topics.keys()
    }
}
