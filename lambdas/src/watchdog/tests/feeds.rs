//! The stream and the departures queue as Lambda reads them, until both are empty: nothing is lost on the way.
//!
//! In contrast to the laws of one user, nobody is named here but by a record of the stream or by a departure whose time
//! is over, and neither comes again once it was reported as done.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use sumu_contract::settings::PresenceSource;

use crate::fakes::{Cloud, Crash, run};
use crate::watchdog::Watchdog;
use crate::watchdog::testing::{NOW, alternates, any_source, reconciler, tells_the_truth};

const USERS: [&str; 3] = ["a", "b", "c"];
const CONNECTIONS: [&str; 2] = ["1", "2"];
/// Every call that the watchdog makes.
const OPERATIONS: [&str; 7] = ["read", "any", "change", "mark", "queue", "topic", "departures"];

#[derive(Clone, Debug)]
enum Step {
    Open(usize, usize),
    Close(usize, usize),
    /// The row's time runs out; its removal comes later, as with DynamoDB's TTL.
    Expire(usize, usize),
    /// The next records of the shard.
    Shard(usize, Fault),
    /// The departures whose time is over, beginning with any of them.
    Queue(usize, Fault),
    /// Records that were done come again.
    Replay(usize),
    /// A departure that was sent at any time comes again, or too early.
    Departure(usize),
    /// The stack gets another grace period, or loses it.
    Grace(Option<u32>),
    Time(u64),
}

/// What goes wrong with one invocation.
#[derive(Clone, Debug)]
enum Fault {
    None,
    /// One operation fails so often.
    Fails(&'static str, u32),
    /// The process dies, and Lambda gets no answer.
    Dies(Crash),
}

fn fault() -> impl Strategy<Value = Fault> {
    let operation = prop::sample::select(&OPERATIONS[..]);
    let crash = (0_u32..30, any::<bool>()).prop_map(|(calls_left, takes_effect)| Crash { calls_left, takes_effect });
    prop_oneof![
        3 => Just(Fault::None),
        2 => (operation, 1_u32..12).prop_map(|(operation, times)| Fault::Fails(operation, times)),
        2 => crash.prop_map(Fault::Dies),
    ]
}

fn step(grace_changes: bool) -> impl Strategy<Value = Step> {
    let user = 0..USERS.len();
    let connection = 0..CONNECTIONS.len();
    prop_oneof![
        4 => (user.clone(), connection.clone()).prop_map(|(u, c)| Step::Open(u, c)),
        4 => (user.clone(), connection.clone()).prop_map(|(u, c)| Step::Close(u, c)),
        1 => (user, connection).prop_map(|(u, c)| Step::Expire(u, c)),
        4 => (1_usize..6, fault()).prop_map(|(size, fault)| Step::Shard(size, fault)),
        3 => (any::<usize>(), fault()).prop_map(|(first, fault)| Step::Queue(first, fault)),
        1 => any::<usize>().prop_map(Step::Replay),
        1 => any::<usize>().prop_map(Step::Departure),
        u32::from(grace_changes) => prop_oneof![Just(None), Just(Some(2)), Just(Some(9))].prop_map(Step::Grace),
        2 => (0_u64..4_000).prop_map(Step::Time),
    ]
}

/// A departure in the queue.
struct Waiting {
    id: String,
    body: String,
    due: u64,
}

struct Feeds {
    cloud: Cloud,
    source: PresenceSource,
    grace: Option<u32>,
    shard: VecDeque<Value>,
    done: Vec<Value>,
    waiting: Vec<Waiting>,
    /// How many departures were ever in the queue.
    sent: usize,
    records: u64,
}

impl Feeds {
    fn new(source: PresenceSource, grace: Option<u32>) -> Self {
        let (cloud, shard) = (Cloud::at(NOW), VecDeque::new());
        Self { cloud, source, grace, shard, done: Vec::new(), waiting: Vec::new(), sent: 0, records: 0 }
    }

    /// The table has changed: the stream says which row.
    fn record(&mut self, user: &str, connection: &str) {
        self.records += 1;
        self.shard.push_back(json!({"eventSource": "aws:dynamodb", "dynamodb": {
            "Keys": {"user_id": {"S": user}, "connection_id": {"S": connection}},
            "SequenceNumber": self.records.to_string()}}));
    }

    fn close(&mut self, user: &str, connection: &str) {
        if self.cloud.has_row(user, connection) {
            self.cloud.close(user, connection);
            self.record(user, connection);
        }
    }

    /// One invocation: what Lambda is told to bring again, or nothing when it gets no answer.
    fn invoke(&mut self, records: &[Value], fault: &Fault) -> Option<Vec<String>> {
        match fault {
            Fault::None => {}
            Fault::Fails(operation, times) => self.cloud.fail(operation, *times),
            Fault::Dies(crash) => self.cloud.state().crash = Some(*crash),
        }
        let failed = self.handle(records);
        let has_died = self.cloud.state().crash.take().is_some();
        self.cloud.state().failures.clear();
        self.put_departures_in_the_queue();
        (!has_died).then_some(failed)
    }

    fn handle(&self, records: &[Value]) -> Vec<String> {
        let watchdog = Watchdog::new(reconciler(&self.cloud, self.source, self.grace));
        let answer = run(watchdog.handle(json!({ "Records": records }))).unwrap();
        let failed = answer["batchItemFailures"].as_array().unwrap().iter();
        failed.map(|item| item["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }

    fn put_departures_in_the_queue(&mut self) {
        let now = self.cloud.state().now;
        for (message, delay) in self.cloud.sent_to("departures").drain(self.sent..) {
            self.sent += 1;
            let (id, due) = (format!("m{}", self.sent), now + u64::from(delay) * 1000);
            self.waiting.push(Waiting { id, body: message.body, due });
        }
    }

    fn work_off_shard(&mut self, size: usize, fault: &Fault) {
        let batch: Vec<Value> = self.shard.iter().take(size).cloned().collect();
        let Some(failed) = self.invoke(&batch, fault) else { return };
        assert!(failed.len() <= 1, "of a stream only the first that failed: {failed:?}");
        let number = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned);
        let count = batch.iter().position(|record| failed.first() == number(record).as_ref()).unwrap_or(batch.len());
        self.done.extend(self.shard.drain(..count));
    }

    fn work_off_queue(&mut self, first: usize, fault: &Fault) {
        let now = self.cloud.state().now;
        let due: Vec<&Waiting> = self.waiting.iter().filter(|waiting| waiting.due <= now).collect();
        let (behind, before) = due.split_at(first % due.len().max(1));
        let batch: Vec<&Waiting> = before.iter().chain(behind).copied().take(10).collect();
        let ids: Vec<String> = batch.iter().map(|waiting| waiting.id.clone()).collect();
        let batch: Vec<Value> = batch.iter().map(|waiting| message(&waiting.id, &waiting.body)).collect();
        let Some(failed) = self.invoke(&batch, fault) else { return };
        self.waiting.retain(|waiting| !ids.contains(&waiting.id) || failed.contains(&waiting.id));
    }

    fn perform(&mut self, step: &Step) {
        match step {
            Step::Open(u, c) => {
                self.cloud.open(USERS[*u], CONNECTIONS[*c], NOW, None);
                self.record(USERS[*u], CONNECTIONS[*c]);
            }
            Step::Close(u, c) => self.close(USERS[*u], CONNECTIONS[*c]),
            Step::Expire(u, c) => self.cloud.expire(USERS[*u], CONNECTIONS[*c]),
            Step::Shard(size, fault) => self.work_off_shard(*size, fault),
            Step::Queue(first, fault) => self.work_off_queue(*first, fault),
            Step::Replay(n) => {
                let from = n % self.done.len().max(1);
                let again: Vec<Value> = self.done.iter().skip(from).take(3).cloned().collect();
                self.invoke(&again, &Fault::None);
            }
            Step::Departure(n) => {
                let sent = self.cloud.sent_to("departures");
                if let Some((again, _)) = sent.get(n % sent.len().max(1)) {
                    self.invoke(&[message("again", &again.body)], &Fault::None);
                }
            }
            Step::Grace(grace) => self.grace = *grace,
            Step::Time(milliseconds) => self.cloud.state().now += milliseconds,
        }
    }

    /// Time passes until nothing comes any more.
    fn come_to_rest(&mut self) {
        let rows = self.cloud.state().rows.clone();
        for (user, connection) in rows.iter().filter(|(_, row)| row.delete_at.is_some()).map(|(key, _)| key) {
            self.close(user, connection);
        }
        for _ in 0..1000 {
            if self.shard.is_empty() && self.waiting.is_empty() {
                return;
            }
            self.work_off_shard(100, &Fault::None);
            self.work_off_queue(0, &Fault::None);
            self.cloud.state().now += 1000;
        }
        panic!("records come again for ever: {} and {}", self.shard.len(), self.waiting.len());
    }

    fn alternates(&self) -> Result<(), TestCaseError> {
        USERS.iter().try_for_each(|user| alternates(&self.cloud, self.source, user))
    }

    fn holds(mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        for step in steps {
            self.perform(step);
            self.alternates()?;
        }
        self.come_to_rest();
        self.alternates()?;
        USERS.iter().try_for_each(|user| tells_the_truth(&self.cloud, self.source, user))
    }
}

fn message(id: &str, body: &str) -> Value {
    json!({"eventSource": "aws:sqs", "messageId": id, "body": body})
}

proptest! {
    #[test]
    fn no_change_of_presence_is_lost_on_the_way_from_the_stream(
        source in any_source(),
        steps in prop::collection::vec(step(false), 0..60),
    ) {
        Feeds::new(source, None).holds(&steps)?;
    }

    #[test]
    fn none_is_lost_with_a_grace_period_that_comes_changes_and_goes(
        source in any_source(),
        grace in prop_oneof![Just(None), Just(Some(3))],
        steps in prop::collection::vec(step(true), 0..80),
    ) {
        Feeds::new(source, grace).holds(&steps)?;
    }
}
