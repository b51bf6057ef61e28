//! Who reads the events by name, and how far each has been sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use countersign_wire::v1::ConsumerStatus;

#[derive(Clone, Default)]
pub struct Consumers(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    subscriptions: u64,
    /// By name and the subscription's number.
    sent: BTreeMap<String, BTreeMap<u64, u64>>,
}

/// One subscription; its name is told for as long as it is kept.
pub struct Reading {
    consumers: Consumers,
    name: String,
    number: u64,
}

impl Consumers {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("nobody panics while holding it")
    }

    /// A subscription to what comes after this event begins. Those without a name are not told of.
    pub fn begin(&self, name: &str, sent_event_seq: u64) -> Option<Reading> {
        if name.is_empty() {
            return None;
        }
        let mut known = self.known();
        known.subscriptions += 1;
        let number = known.subscriptions;
        known.sent.entry(name.to_owned()).or_default().insert(number, sent_event_seq);
        drop(known);
        Some(Reading { consumers: self.clone(), name: name.to_owned(), number })
    }

    /// Each name with how far it has been sent. Of several under one name the newest counts: a consumer comes back
    /// before anybody has seen that its former connection is gone.
    pub fn told(&self) -> Vec<ConsumerStatus> {
        let known = self.known();
        let newest =
            known.sent.iter().filter_map(|(name, sent)| Some((name.clone(), *sent.last_key_value()?.1)));
        newest.map(|(name, sent_event_seq)| ConsumerStatus { name, sent_event_seq }).collect()
    }
}

impl Reading {
    pub fn sent(&self, event_seq: u64) {
        let mut known = self.consumers.known();
        if let Some(sent) = known.sent.get_mut(&self.name) {
            sent.insert(self.number, event_seq);
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut known = self.consumers.known();
        if let Some(sent) = known.sent.get_mut(&self.name) {
            sent.remove(&self.number);
            if sent.is_empty() {
                known.sent.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_until_the_last_of_its_subscriptions_ends() {
        let consumers = Consumers::default();
        let told = || -> Vec<(String, u64)> {
            consumers.told().into_iter().map(|one| (one.name, one.sent_event_seq)).collect()
        };
        let [former, other] = ["settlement", "other"].map(|name| consumers.begin(name, 4).unwrap());
        assert!(consumers.begin("", 9).is_none());
        former.sent(7);
        assert_eq!(told(), [("other".into(), 4), ("settlement".into(), 7)]);
        let newer = consumers.begin("settlement", 5).unwrap();
        former.sent(8);
        assert_eq!(told(), [("other".into(), 4), ("settlement".into(), 5)], "the newest counts");
        newer.sent(6);
        drop((former, other));
        assert_eq!(told(), [("settlement".into(), 6)], "it reads on, and has said nothing since");
        let older = newer;
        let newest = consumers.begin("settlement", 9).unwrap();
        drop(newest);
        assert_eq!(told(), [("settlement".into(), 6)]);
        drop(older);
        assert!(told().is_empty());
    }
}
