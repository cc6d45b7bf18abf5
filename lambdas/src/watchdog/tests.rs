//! Whole batches against the cloud in memory.

use serde_json::{Value, json};
use sumu_contract::settings::PresenceSource;

use super::Watchdog;
use super::changes::Changes;
use super::reconcile::Reconciler;
use crate::fakes::{Channel, Cloud, run};

const NOW: u64 = 1_700_000_000_000;

fn watchdog(cloud: &Cloud) -> Watchdog<Cloud, Cloud, Channel, Channel, Cloud> {
    Watchdog::new(Reconciler {
        changes: Changes::default(),
        connections: cloud.clone(),
        presence: cloud.clone(),
        source: PresenceSource::Queue,
        queue: cloud.named("queue"),
        topic: cloud.named("topic"),
        clock: cloud.clone(),
    })
}

fn batch(users: &[&str]) -> Value {
    let record = |(n, user): (usize, &&str)| {
        json!({"eventName": "INSERT", "dynamodb": {
            "Keys": {"user_id": {"S": user}, "connection_id": {"S": "c"}}, "SequenceNumber": format!("{}", n + 8)}})
    };
    json!({"Records": users.iter().enumerate().map(record).collect::<Vec<_>>()})
}

fn handle(cloud: &Cloud, users: &[&str]) -> Value {
    run(watchdog(cloud).handle(batch(users))).unwrap()
}

#[test]
fn a_batch_is_worked_off_user_by_user() {
    let cloud = Cloud::at(NOW);
    for user in ["a", "b"] {
        cloud.open(user, "1", NOW, None);
        cloud.open(user, "2", NOW, None);
    }
    assert_eq!(handle(&cloud, &["a", "b", "a", "b"]), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 2);
    assert_eq!(handle(&cloud, &["a", "b"]), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 2, "a replay has no effect");
}

#[test]
fn passing_failures_are_sat_out_inside_one_invocation() {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, None);
    cloud.fail("queue", 3);
    assert_eq!(handle(&cloud, &["a"]), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 1);
    let pauses: Vec<u128> = cloud.state().pauses.iter().map(std::time::Duration::as_millis).collect();
    assert_eq!(pauses, [200, 400, 800]);
}

#[test]
fn the_first_record_of_a_failed_user_is_reported_and_the_others_are_done() {
    let cloud = Cloud::at(NOW);
    for user in ["a", "b", "c"] {
        cloud.open(user, "1", NOW, None);
    }
    run(watchdog(&cloud).handle(batch(&["a"]))).unwrap();
    // Every announcement fails: `a` needs none.
    cloud.fail("queue", 100);
    let failed = handle(&cloud, &["a", "a", "b", "c"]);
    assert_eq!(failed, json!({"batchItemFailures": [{"itemIdentifier": "10"}]}), "in order, not as texts");
    cloud.fail("queue", 0);
    assert_eq!(handle(&cloud, &["b", "c"]), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 3);
}

#[test]
fn a_failure_that_cannot_be_named_fails_the_batch() {
    let cloud = Cloud::at(NOW);
    cloud.fail("read", 100);
    let event = json!({"Records": [{"dynamodb": {"Keys": {"user_id": {"S": "a"}}}}]});
    assert!(run(watchdog(&cloud).handle(event)).is_err());
    assert!(run(watchdog(&cloud).handle(json!({}))).is_err());
}

#[test]
fn a_record_that_names_nobody_holds_nobody_up() {
    let cloud = Cloud::at(NOW);
    cloud.open("a", "1", NOW, None);
    let mut event = batch(&["a"]);
    event["Records"].as_array_mut().unwrap().insert(0, json!({"dynamodb": {"Keys": {"id": {"N": "1"}}}}));
    assert_eq!(run(watchdog(&cloud).handle(event)).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(cloud.sent_to("queue").len(), 1);
}
