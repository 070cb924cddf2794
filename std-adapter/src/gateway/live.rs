use super::WeakChannel;

/// A list of things that belong to connections. Those of connections that have ended are removed from time to time, so that adding costs the same
/// however many there are, and the list is never longer than twice the live ones and some more.
#[derive(Debug)]
pub(crate) struct LiveList<T> {
    items: Vec<T>,
    /// The length at which ended ones are removed.
    limit: usize,
}

/// A thing that belongs to a connection.
pub(crate) trait OfChannel {
    fn channel(&self) -> &WeakChannel;
}

impl OfChannel for WeakChannel {
    fn channel(&self) -> &WeakChannel {
        self
    }
}

/// The length up to which nothing is removed.
const SHORT: usize = 64;

impl<T> Default for LiveList<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            limit: SHORT,
        }
    }
}

impl<T: OfChannel> LiveList<T> {
    pub(crate) fn push(&mut self, item: T) {
        if self.items.len() >= self.limit {
            self.items.retain(|item| item.channel().is_live());
            self.limit = self.items.len().saturating_mul(2).max(SHORT);
        }
        self.items.push(item);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().filter(|item| item.channel().is_live())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Channel;
    use chanbind_core::exporter::ExporterSecret;

    #[test]
    fn what_has_ended_is_forgotten() {
        let mut list = LiveList::default();
        let kept: Vec<_> = (0..100)
            .map(|_| Channel::new(ExporterSecret::sha256(&[7; 32])))
            .collect();
        for channel in &kept {
            list.push(channel.downgrade());
        }
        for _ in 0..10_000 {
            let channel = Channel::new(ExporterSecret::sha256(&[7; 32]));
            list.push(channel.downgrade());
        }
        assert_eq!(list.iter().count(), kept.len());
        assert!(list.items.len() <= 2 * kept.len() + SHORT);
    }
}
