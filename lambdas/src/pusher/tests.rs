//! Whole events against the cloud in memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use sumu_contract::settings::EmptyUsers;

use super::{POSTS_AT_ONCE, Ports, Pusher, PusherError, Rules};
use crate::fakes::{Channel, Cloud, run};
use crate::ports::{Attribute, Posted, Sockets};

const NOW: u64 = 1_700_000_000_000;
const OLD: u64 = NOW - 60_000;

/// The deadline of every event that does not say otherwise.
const DEADLINE: u64 = NOW + 120_000;

pub(super) fn rules() -> Rules {
    Rules {
        pushes_queue: "pushes".into(),
        empty_users: EmptyUsers::Broadcast,
        max_attempts: 3,
        max_rate: 7000,
        max_concurrency: 10,
    }
}

pub(super) fn pusher(cloud: &Cloud, rules: Rules) -> Pusher<Cloud, Cloud, Channel, Cloud> {
    let ports = Ports {
        audience: cloud.clone(),
        sockets: cloud.clone(),
        pushes: cloud.named("pushes"),
        dead_letters: cloud.named("dead letters"),
        pushes_dead_letters: cloud.named("pushes dead letters"),
        clock: cloud.clone(),
    };
    Pusher::new(ports, rules)
}

fn handle(cloud: &Cloud, event: Value) -> Result<Value, PusherError> {
    run(pusher(cloud, rules()).handle(event, DEADLINE))
}

/// Three users with two connections each.
fn cloud() -> Cloud {
    let cloud = Cloud::at(NOW);
    cloud.state().page_rows = 1000;
    for user in ["a", "b", "c"] {
        for n in 1..=2 {
            cloud.open(user, &format!("{user}{n}"), OLD, Some(NOW / 1000 + 100));
        }
    }
    cloud
}

fn sqs(bodies: &[Value]) -> Value {
    let record = |(n, body): (usize, &Value)| {
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        json!({"messageId": format!("m{n}"), "eventSource": "aws:sqs", "body": body,
               "messageAttributes": {"kept": {"dataType": "String", "stringValue": "v"}}})
    };
    json!({"Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>()})
}

fn sns(body: &Value) -> Value {
    json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": body.to_string()}}]})
}

fn push(cloud: &Cloud, event: Value) -> Vec<String> {
    let answer = handle(cloud, event).unwrap();
    let failures = answer["batchItemFailures"].as_array().unwrap().iter();
    failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}

fn answers(cloud: &Cloud, connection_id: &str, answers: &[Posted]) {
    cloud.state().answers.insert(connection_id.into(), VecDeque::from(answers.to_vec()));
}

#[test]
fn named_users_get_it_on_every_connection_once() {
    let cloud = cloud();
    cloud.open("a", "a3", OLD, None);
    assert!(push(&cloud, sqs(&[json!({"users": ["a", "b", "a", "nobody"], "data": {"x": 1}})])).is_empty());
    assert_eq!(cloud.reached(), ["a1", "a2", "a3", "b1", "b2"], "over more than one page");
    assert!(cloud.state().posts.iter().all(|(_, data, _)| data == r#"{"x":1}"#));
}

#[test]
fn excluded_users_are_left_out_in_both_cases_and_both_forms() {
    let requests = [
        json!({"users": ["a", "b"], "exclude_users": ["b"], "data": 1}),
        json!({"users": [], "exclude_users": ["b", "c"], "data": 1}),
        json!({"target": {"users": ["a", "b"]}, "exclude": {"users": ["b"]}, "data": 1}),
        json!({"target": {"broadcast": true}, "exclude": {"connections": ["b1", "b2", "c1", "c2"]}, "data": 1}),
        json!({"target": {"connections": ["a1", "a2", "b1"]}, "exclude": {"connections": ["b1"]}, "data": 1}),
    ];
    for request in requests {
        let cloud = cloud();
        assert!(push(&cloud, sqs(std::slice::from_ref(&request))).is_empty());
        assert_eq!(cloud.reached(), ["a1", "a2"], "{request}");
    }
}

#[test]
fn a_broadcast_may_exclude_more_than_a_hundred() {
    let cloud = cloud();
    let others: Vec<String> = (0..500).map(|n| format!("other{n}")).chain(["a".into(), "b".into()]).collect();
    for user in &others {
        cloud.open(user, &format!("{user}-1"), OLD, None);
    }
    push(&cloud, sqs(&[json!({"exclude_users": others, "data": 1})]));
    assert_eq!(cloud.reached(), ["c1", "c2"]);
}

#[test]
fn rows_past_their_time_are_not_posted_to() {
    let cloud = cloud();
    cloud.open("a", "a0", OLD, Some(NOW / 1000));
    push(&cloud, sqs(&[json!({"users": ["a"], "data": 1}), json!({"data": 2})]));
    assert!(!cloud.reached().contains(&"a0".to_owned()));
}

#[test]
fn every_way_in_is_understood_in_one_batch() {
    let cloud = cloud();
    let request = |user: &str| json!({"users": [user], "data": 1});
    let envelope = json!({"Type": "Notification", "TopicArn": "arn", "Message": request("b").to_string()});
    let mut event = sqs(&[request("a"), envelope]);
    event["Records"].as_array_mut().unwrap().extend(sns(&request("c"))["Records"].as_array().unwrap().clone());
    assert!(push(&cloud, event).is_empty());
    assert_eq!(cloud.reached(), ["a1", "a2", "b1", "b2", "c1", "c2"]);
}

#[test]
fn a_bad_record_goes_to_the_dead_letter_queue_alone() {
    let cloud = cloud();
    let bad = ["not json", r#"{"users":"bob","data":1}"#, r#"{"users":["a"]}"#];
    let event = sqs(&[json!(bad[0]), json!({"users": ["a"], "data": 1}), json!(bad[1]), json!(bad[2])]);
    assert!(push(&cloud, event).is_empty());
    assert_eq!(cloud.reached(), ["a1", "a2"]);
    let mut letters = cloud.sent_to("dead letters");
    letters.sort_by_key(|(letter, _)| bad.iter().position(|body| *body == letter.body));
    let reasons = ["the request is not JSON", "users is not a list of user ids", "data is missing"];
    for ((letter, delay), (body, reason)) in letters.into_iter().zip(bad.iter().zip(reasons)) {
        assert_eq!((letter.body.as_str(), delay), (*body, 0));
        assert_eq!(letter.attributes, [Attribute::text("kept", "v"), Attribute::text("reason", reason)]);
    }
}

#[test]
fn a_bad_record_that_cannot_be_set_aside_comes_again() {
    let cloud = cloud();
    cloud.fail("dead letters", 1);
    assert_eq!(push(&cloud, sqs(&[json!({"users": ["a"], "data": 1}), json!("bad")])), ["m1"]);
    cloud.fail("dead letters", 1);
    assert!(handle(&cloud, sns(&json!("bad"))).is_err());
    assert!(push(&cloud, sns(&json!("bad"))).is_empty());
    assert_eq!(cloud.sent_to("dead letters").len(), 1);
}

#[test]
fn a_letter_never_has_more_attributes_than_a_queue_takes() {
    let cloud = cloud();
    let mut event = sqs(&[json!("bad")]);
    let attributes = (0..10).map(|n| (format!("a{n}"), json!({"dataType": "String", "stringValue": "v"})));
    event["Records"][0]["messageAttributes"] = Value::Object(attributes.collect());
    push(&cloud, event);
    let letter = &cloud.sent_to("dead letters")[0].0;
    assert_eq!(letter.attributes.len(), 10);
    assert_eq!(letter.attributes[9].name, "reason");
}

#[test]
fn a_gone_connection_is_forgotten_unless_it_may_be_opening() {
    let cloud = cloud();
    cloud.open("a", "young", NOW - 9_999, None);
    for id in ["a1", "young"] {
        answers(&cloud, id, &[Posted::Gone]);
    }
    assert!(push(&cloud, sqs(&[json!({"users": ["a"], "data": 1})])).is_empty());
    assert_eq!(cloud.reached(), ["a2"]);
    assert!(!cloud.has_row("a", "a1") && cloud.has_row("a", "young"));
    let retries = cloud.sent_to("pushes");
    assert_eq!(retries.len(), 1);
    assert_eq!(retries[0].1, 5);
    assert!(retries[0].0.body.contains("young") && !retries[0].0.body.contains("a1"));
}

#[test]
fn a_gone_connection_that_several_records_of_a_batch_meet_fails_none_of_them() {
    let cloud = cloud();
    answers(&cloud, "a1", &[Posted::Gone; 3]);
    let request = |n: u8| json!({"users": ["a", "b"], "data": n});
    assert!(push(&cloud, sqs(&[request(1), request(2), json!({"data": 3})])).is_empty(), "nothing comes again");
    assert!(!cloud.has_row("a", "a1"));
    for connection in ["a2", "b1", "b2"] {
        assert_eq!(cloud.reached().iter().filter(|reached| *reached == connection).count(), 3, "{connection}");
    }
    assert!(cloud.state().sent.is_empty());
}

#[test]
fn a_row_that_another_connection_has_taken_meanwhile_stays() {
    let cloud = cloud();
    cloud.open("a", "a1", NOW, None);
    answers(&cloud, "a1", &[Posted::Gone]);
    let before = json!({"user_id": "a", "connection_id": "a1", "connected_at": OLD});
    assert!(push(&cloud, sqs(&[json!({"target": {"connections": [before]}, "data": 1, "attempt": 1})])).is_empty());
    assert!(cloud.has_row("a", "a1"));
}

#[test]
fn a_row_that_cannot_be_deleted_does_not_fail_the_record() {
    let cloud = cloud();
    answers(&cloud, "a1", &[Posted::Gone]);
    cloud.fail("forget", 1);
    assert!(push(&cloud, sqs(&[json!({"users": ["a"], "data": 1})])).is_empty());
    assert!(cloud.has_row("a", "a1"));
}

#[test]
fn what_may_pass_is_tried_three_times_and_neighbours_do_not_wait() {
    let cloud = cloud();
    answers(&cloud, "a1", &[Posted::Throttled, Posted::Unavailable]);
    answers(&cloud, "a2", &[Posted::Throttled; 3]);
    push(&cloud, sqs(&[json!({"users": ["a", "b"], "data": 1, "id": "n1"})]));
    assert_eq!(cloud.reached(), ["a1", "b1", "b2"]);
    let pauses: Vec<u128> = cloud.state().pauses.iter().map(std::time::Duration::as_millis).collect();
    assert_eq!(pauses.iter().filter(|pause| **pause == 100).count(), 2);
    assert_eq!(pauses.iter().filter(|pause| **pause == 200).count(), 2);
    let item = format!(
        r#"{{"target":{{"connections":[{{"user_id":"a","connection_id":"a2","connected_at":{OLD}}}]}},"data":1,"id":"n1","attempt":1}}"#
    );
    assert_eq!(cloud.sent_to("pushes")[0].0.body, item);
}

#[test]
fn a_retry_item_is_served_and_ends_in_the_dead_letter_queue() {
    let cloud = cloud();
    answers(&cloud, "a1", &[Posted::Throttled; 9]);
    let mut event = sqs(&[json!({"target": {"connections": ["a1"]}, "data": {"k": "v"}})]);
    for (attempt, delay) in [(1, 5), (2, 10)] {
        push(&cloud, event);
        let (item, delayed) = cloud.sent_to("pushes").pop().unwrap();
        assert_eq!(delayed, delay);
        let item: Value = serde_json::from_str(&item.body).unwrap();
        assert_eq!(item["attempt"], attempt);
        event = sqs(&[item]);
    }
    push(&cloud, event);
    assert_eq!(cloud.sent_to("pushes").len(), 2);
    let (letter, _) = &cloud.sent_to("dead letters")[0];
    assert_eq!(letter.attributes, [Attribute::text("reason", "undelivered after the last attempt")]);
    assert_eq!(letter.body, r#"{"target":{"connections":["a1"]},"data":{"k":"v"},"attempt":3}"#);
}

#[test]
fn what_cannot_change_is_not_tried_again() {
    let cloud = cloud();
    for (id, posted) in [("a1", Posted::Forbidden), ("a2", Posted::Invalid), ("b1", Posted::TooLarge)] {
        answers(&cloud, id, &[posted; 3]);
    }
    assert!(push(&cloud, sqs(&[json!({"data": 1})])).is_empty());
    assert_eq!(cloud.reached(), ["b2", "c1", "c2"]);
    assert_eq!(cloud.state().posts.len(), 6);
    assert!(cloud.state().sent.is_empty());
}

#[test]
fn what_has_expired_is_not_delivered() {
    let cloud = cloud();
    push(&cloud, sqs(&[json!({"data": 1, "expiresAt": NOW / 1000 - 1})]));
    assert!(cloud.state().calls.is_empty());
    answers(&cloud, "a1", &[Posted::Throttled; 3]);
    push(&cloud, sqs(&[json!({"users": ["a"], "data": 1, "expiresAt": NOW / 1000 + 4})]));
    assert_eq!(cloud.reached(), ["a2"]);
    assert!(cloud.state().sent.is_empty(), "a retry would come too late");
}

#[test]
fn a_retry_item_past_its_time_is_dropped() {
    let cloud = cloud();
    let item = json!({"target": {"connections": ["a1"]}, "data": 1, "expiresAt": NOW / 1000 - 1, "attempt": 1});
    assert!(push(&cloud, sqs(&[item])).is_empty());
    assert!(cloud.reached().is_empty() && cloud.state().sent.is_empty());
}

/// Sockets that count how many posts are under way.
#[derive(Debug, Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Sockets for Arc<Crowd> {
    async fn post(&self, _connection_id: &str, _data: &str) -> Posted {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.now.fetch_sub(1, Ordering::Relaxed);
        Posted::Delivered
    }
}

#[test]
fn many_posts_are_under_way_at_once_but_never_more_than_one_worker_may_have() {
    let cloud = cloud();
    for n in 0..300 {
        cloud.open("many", &format!("many{n}"), OLD, None);
    }
    let crowd = Arc::new(Crowd::default());
    let rules = Rules { max_rate: 1_000_000, ..rules() };
    let Pusher { ports, .. } = pusher(&cloud, rules.clone());
    let Ports { audience, pushes, dead_letters, pushes_dead_letters, clock, .. } = ports;
    let ports = Ports { audience, sockets: Arc::clone(&crowd), pushes, dead_letters, pushes_dead_letters, clock };
    let event =
        sqs(&[json!({"users": ["many"], "data": 1}), json!({"data": 2}), json!({"users": ["many"], "data": 3})]);
    assert_eq!(run(Pusher::new(ports, rules).handle(event, DEADLINE)).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(crowd.most.load(Ordering::Relaxed), POSTS_AT_ONCE);
}

#[test]
fn users_that_cannot_be_read_come_again_without_the_others() {
    let cloud = cloud();
    cloud.fail("query", 1);
    assert!(push(&cloud, sqs(&[json!({"users": ["a", "b"], "data": 1})])).is_empty());
    let reached = cloud.reached();
    let unread = if reached == ["a1", "a2"] { "b" } else { "a" };
    assert_eq!(reached.len(), 2);
    let item = format!(r#"{{"target":{{"users":["{unread}"]}},"data":1,"attempt":1}}"#);
    assert_eq!(cloud.sent_to("pushes")[0].0.body, item);
}

#[test]
fn a_record_that_cannot_be_worked_off_is_reported_alone() {
    let cloud = cloud();
    cloud.fail("scan", 1);
    assert_eq!(push(&cloud, sqs(&[json!({"data": 1}), json!({"users": ["b"], "data": 2})])), ["m0"]);
    assert_eq!(cloud.reached(), ["b1", "b2"]);
    cloud.fail("scan", 1);
    assert!(handle(&cloud, sns(&json!({"data": 1}))).is_err());
}

#[test]
fn a_retry_item_that_cannot_be_put_fails_its_record() {
    for (event, is_sqs) in
        [(sqs(&[json!({"users": ["a"], "data": 1})]), true), (sns(&json!({"users": ["a"], "data": 1})), false)]
    {
        let cloud = cloud();
        answers(&cloud, "a1", &[Posted::Throttled; 3]);
        cloud.fail("pushes", 1);
        let answer = handle(&cloud, event);
        assert_eq!(answer.is_ok(), is_sqs);
        if let Ok(answer) = answer {
            assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m0"}]}));
        }
    }
}

#[test]
fn a_record_of_nobody_is_set_aside_and_an_event_without_records_is_an_error() {
    let cloud = cloud();
    assert!(push(&cloud, json!({"Records": [{"users": ["a"], "data": 1}]})).is_empty());
    assert_eq!(cloud.sent_to("dead letters").len(), 1);
    assert!(cloud.reached().is_empty());
    assert!(handle(&cloud, json!({"users": ["a"], "data": 1})).is_err());
}

/// A log that can be read.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_pushed_is_in_no_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let cloud = cloud();
    cloud.fail("query", 1);
    cloud.fail("scan", 1);
    for (id, posted) in [("b1", Posted::Gone), ("b2", Posted::Forbidden), ("c1", Posted::Invalid)] {
        answers(&cloud, id, &[posted]);
    }
    answers(&cloud, "c2", &[Posted::Throttled; 9]);
    let requests = [
        json!({"users": ["a", "b", "c"], "exclude_users": ["secret-user"], "data": "secret"}),
        json!({"data": {"secret": 1}}),
        json!({"users": ["a"], "secret": 1}),
        json!("{\"data\": secret"),
        json!({"target": {"connections": ["c2"]}, "data": "secret", "attempt": 2}),
    ];
    tracing::subscriber::with_default(subscriber.finish(), || {
        assert_eq!(push(&cloud, sqs(&requests)), ["m1"]);
        push(&cloud, sqs(&[json!({"data": "secret"})]));
        assert!(handle(&cloud, json!({"secret": 1})).is_err());
    });
    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for line in ["record failed", "bad request", "connections not read", "the management API refuses us"] {
        assert!(written.contains(line), "nothing was logged of {line:?} in {written}");
    }
    assert!(!written.contains("secret"), "{written}");
}
