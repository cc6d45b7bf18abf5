//! What becomes of a stream's batch after an invocation: done, tried again in whole or in parts, or given up. Pure.
//!
//! Sources: Lambda's developer guide, "Retain discarded records for a DynamoDB event source" and "Configuring partial
//! batch response with DynamoDB".

use serde_json::Value;

use super::answer::Said;

/// Records of one shard, in their order, with how often they were tried again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// As the stream tells them.
    pub records: Vec<Value>,
    /// How many invocations have failed that count.
    pub failures: u32,
}

/// How an invocation went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Went {
    /// The function has answered.
    Well(Said),
    /// The function has failed, or was killed.
    Badly,
    /// It was not reached: throttled, or not there.
    Nowhere,
}

/// When is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How many retries there are; nothing for without end.
    pub retries: Option<u32>,
    /// Whether a batch that fails is halved, which costs no retry.
    pub bisects: bool,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// These, in this order; none when all is done.
    Try(Vec<Batch>),
    /// These are given up.
    GiveUp(Batch),
}

impl Batch {
    /// Records that were not tried yet.
    #[must_use]
    pub fn new(records: Vec<Value>) -> Self {
        Self { records, failures: 0 }
    }

    /// What Lambda calls the records.
    #[must_use]
    pub fn identifiers(&self) -> Vec<String> {
        self.records.iter().map(|record| sequence_number(record).to_owned()).collect()
    }

    /// Splits off those in front that are too old, by the second in which the eldest may have been made.
    #[must_use]
    pub fn split_old(mut self, made_since: f64) -> (Vec<Value>, Self) {
        let is_old = |record: &Value| record["dynamodb"]["ApproximateCreationDateTime"].as_f64() < Some(made_since);
        let young = self.records.iter().position(|record| !is_old(record)).unwrap_or(self.records.len());
        let records = self.records.split_off(young);
        (self.records, Self { records, failures: self.failures })
    }

    /// What is done after an invocation.
    #[must_use]
    pub fn after(self, went: &Went, rules: Rules) -> Next {
        match went {
            Went::Well(Said::Done) => Next::Try(Vec::new()),
            Went::Nowhere => Next::Try(vec![self]),
            Went::Well(Said::Failed(named)) => {
                // The lowest sequence number is the checkpoint, and a batch is in their order.
                let first = self.records.iter().position(|record| named.contains(sequence_number(record)));
                self.again_from(first.unwrap_or(0), rules)
            }
            Went::Badly | Went::Well(Said::Nonsense) if rules.bisects && self.records.len() > 1 => {
                let mut first = self;
                let records = first.records.split_off(first.records.len() / 2);
                let second = Self { records, failures: first.failures };
                Next::Try(vec![first, second])
            }
            Went::Badly | Went::Well(Said::Nonsense) => self.again_from(0, rules),
        }
    }

    fn again_from(mut self, first: usize, rules: Rules) -> Next {
        if first > 0 {
            return Next::Try(vec![Self::new(self.records.split_off(first))]);
        }
        self.failures += 1;
        if rules.retries.is_some_and(|retries| self.failures > retries) {
            return Next::GiveUp(self);
        }
        Next::Try(vec![self])
    }
}

/// A record's place in its shard.
#[must_use]
pub fn sequence_number(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    const ENDLESS: Rules = Rules { retries: None, bisects: false };

    fn batch(numbers: &[&str], failures: u32) -> Batch {
        let record = |number: &&str| json!({"dynamodb": {"SequenceNumber": number, "ApproximateCreationDateTime": number.len()}});
        Batch { records: numbers.iter().map(record).collect(), failures }
    }

    fn failed(numbers: &[&str]) -> Went {
        Went::Well(Said::Failed(numbers.iter().map(ToString::to_string).collect::<BTreeSet<_>>()))
    }

    #[test]
    fn a_batch_comes_again_from_the_first_record_that_failed() {
        let all = batch(&["9", "10", "11", "12"], 3);
        let next = all.clone().after(&failed(&["12", "10"]), ENDLESS);
        assert_eq!(next, Next::Try(vec![batch(&["10", "11", "12"], 0)]));
        assert_eq!(all.clone().after(&failed(&["9"]), ENDLESS), Next::Try(vec![batch(&["9", "10", "11", "12"], 4)]));
        assert_eq!(all.after(&Went::Well(Said::Done), ENDLESS), Next::Try(Vec::new()));
    }

    #[test]
    fn a_batch_is_given_up_when_its_retries_are_used_up_and_throttles_use_none() {
        let twice = Rules { retries: Some(2), bisects: false };
        let mut next = batch(&["1", "2"], 0);
        for failures in 1..=2 {
            assert_eq!(next.clone().after(&Went::Nowhere, twice), Next::Try(vec![next.clone()]));
            let Next::Try(mut again) = next.after(&Went::Badly, twice) else { panic!("given up too soon") };
            next = again.remove(0);
            assert_eq!(next, batch(&["1", "2"], failures));
        }
        assert_eq!(next.after(&Went::Well(Said::Nonsense), twice), Next::GiveUp(batch(&["1", "2"], 3)));
    }

    #[test]
    fn a_failed_batch_is_halved_without_using_a_retry_until_one_record_is_left() {
        let none = Rules { retries: Some(0), bisects: true };
        let next = batch(&["1", "2", "3"], 0).after(&Went::Badly, none);
        assert_eq!(next, Next::Try(vec![batch(&["1"], 0), batch(&["2", "3"], 0)]));
        assert_eq!(batch(&["1"], 0).after(&Went::Badly, none), Next::GiveUp(batch(&["1"], 1)));
        let reported = batch(&["1", "2", "3"], 0).after(&failed(&["2"]), none);
        assert_eq!(reported, Next::Try(vec![batch(&["2", "3"], 0)]), "what was reported is not halved");
    }

    #[test]
    fn records_that_are_too_old_are_those_in_front() {
        let (old, young) = batch(&["1", "22", "333"], 2).split_old(2.0);
        assert_eq!((old, young), (batch(&["1"], 0).records, batch(&["22", "333"], 2)));
    }
}
