//! Divided broadcasts against the cloud in memory: workers die at any of their calls.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fakes::{Cloud, Crash, run};
use crate::ports::{Attribute, Posted};
use crate::pusher::tests::{pusher, rules};
use crate::pusher::{Rules, TIME_TO_END};

const NOW: u64 = 1_700_000_000_000;
const PAGE: usize = 10;

/// A table of so many connections, one a user.
fn table(connections: usize) -> Cloud {
    let cloud = Cloud::at(NOW);
    cloud.state().page_rows = PAGE;
    for n in 0..connections {
        cloud.open(&format!("u{n:04}"), &format!("c{n:04}"), NOW - 60_000, None);
    }
    cloud
}

fn event(id: &str, body: &str, queue: &str) -> Value {
    let arn = format!("arn:aws:sqs:eu-west-1:123456789012:{queue}");
    json!({"Records": [{"messageId": id, "eventSource": "aws:sqs", "eventSourceARN": arn, "body": body}]})
}

/// What is on the queues, and the pushers that take it from there.
struct Workers<'a> {
    cloud: &'a Cloud,
    rules: Rules,
    /// Id, body, queue, and how often it was handed out.
    waiting: VecDeque<(String, String, &'static str, u32)>,
    /// How many of the messages sent are in `waiting`, or were.
    seen: usize,
    /// How long an invocation has until the last post may begin (milliseconds).
    time: u64,
}

impl<'a> Workers<'a> {
    fn of(cloud: &'a Cloud, request: &str) -> Self {
        let first = ("m".to_owned(), request.to_owned(), "notifications", 0);
        Self { cloud, rules: rules(), waiting: VecDeque::from([first]), seen: 0, time: 100_000 }
    }

    /// Hands out the message at `at`, which comes again if the worker was killed or could not do it. Tells whether it
    /// was killed.
    fn work(&mut self, at: usize, crash: Option<Crash>) -> bool {
        let Some((id, body, queue, times)) = self.waiting.remove(at % self.waiting.len().max(1)) else { return false };
        self.cloud.state().crash = crash;
        let now = crate::ports::Clock::now(self.cloud);
        let pusher = pusher(self.cloud, self.rules.clone());
        let answer = run(pusher.handle(event(&id, &body, queue), now + self.time + TIME_TO_END));
        let is_dead = self.cloud.state().crash.take().is_some_and(|crash| crash.calls_left == 0);
        let is_done = answer.is_ok_and(|answer| answer["batchItemFailures"] == json!([]));
        if is_dead || !is_done {
            self.waiting.push_back((id, body, queue, times + 1));
        }
        let state = self.cloud.state();
        let sent = state.sent.iter().enumerate().skip(self.seen).filter(|(_, (to, ..))| *to == "pushes");
        let sent = sent.map(|(n, (_, message, _))| (format!("p{n}"), message.body.clone(), "pushes", 0));
        self.waiting.extend(sent.collect::<Vec<_>>());
        self.seen = state.sent.len();
        is_dead
    }

    fn work_all(&mut self) {
        for _ in 0..10_000 {
            if self.waiting.is_empty() {
                return;
            }
            self.work(0, None);
        }
        panic!("the work does not end");
    }
}

/// How often each connection was reached.
fn reached(cloud: &Cloud) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for connection_id in cloud.reached() {
        *times.entry(connection_id).or_insert(0) += 1;
    }
    times
}

#[test]
fn a_table_of_one_page_is_pushed_at_once() {
    let cloud = table(PAGE - 1);
    let mut workers = Workers::of(&cloud, r#"{"data":1}"#);
    workers.work(0, None);
    assert!(workers.waiting.is_empty() && cloud.state().sent.is_empty() && cloud.state().turns.is_empty());
    assert_eq!(reached(&cloud).len(), PAGE - 1);
}

#[test]
fn a_larger_one_is_divided_and_everybody_but_the_excluded_gets_it_once() {
    let cloud = table(200);
    cloud.state().rows_told = 50_000;
    let mut workers = Workers::of(&cloud, r#"{"exclude_users":["u0003","u0199"],"data":{"a":1.0}}"#);
    workers.work(0, None);
    assert_eq!(workers.waiting.len(), 12, "a segment for 4,000 rows");
    assert!(cloud.reached().is_empty());
    workers.work_all();
    let reached = reached(&cloud);
    assert_eq!(reached.len(), 198);
    assert!(reached.values().all(|times| *times == 1) && !reached.contains_key("c0003"));
    assert!(cloud.state().posts.iter().all(|(_, data, _)| data == r#"{"a":1.0}"#));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The first worker of each message, or of some, is killed before or after one of its calls; messages are handed out
    /// in any order.
    #[test]
    fn with_every_worker_killed_once_nothing_is_lost_and_a_kill_repeats_one_page_at_most(
        connections in 30_usize..300,
        kills in prop::collection::vec((0_u32..25, any::<bool>()), 1..20),
        order in prop::collection::vec(0_usize..50, 1..20),
        every in 1_usize..9,
    ) {
        let cloud = table(connections);
        let mut workers = Workers::of(&cloud, r#"{"data":1}"#);
        let (mut kills, mut order) = (kills.iter().cycle(), order.iter().cycle());
        let (mut killed, mut firsts) = (0, 0);
        for round in 0.. {
            prop_assert!(round < 10_000, "the work does not end");
            if workers.waiting.is_empty() {
                break;
            }
            let at = order.next().unwrap() % workers.waiting.len();
            let (calls_left, takes_effect) = *kills.next().unwrap();
            let is_first = workers.waiting[at].3 == 0;
            firsts += usize::from(is_first);
            let crash = (is_first && firsts % every == 0).then_some(Crash { calls_left, takes_effect });
            killed += usize::from(workers.work(at, crash));
        }
        let reached = reached(&cloud);
        prop_assert_eq!(reached.len(), connections, "nobody is left out");
        let repeats: usize = reached.values().map(|times| times - 1).sum();
        prop_assert!(repeats <= killed * PAGE, "{} repeats after {} kills", repeats, killed);
        let most = reached.values().max().copied().unwrap_or(0);
        prop_assert!(most <= 4, "somebody got it {} times", most);
    }
}

/// The worst moment: the next item is on its way and the own one is not deleted.
#[test]
fn a_worker_killed_after_it_has_put_the_next_item_starts_no_second_chain() {
    let cloud = table(400);
    let mut workers = Workers::of(&cloud, r#"{"data":1}"#);
    workers.work(0, None);
    // One segment alone: take, scan, ten posts, and the put that takes effect.
    let mut kills = 0;
    for _ in 0..workers.waiting.len() {
        let before = cloud.reached().len();
        workers.work(0, Some(Crash { calls_left: 12, takes_effect: true }));
        kills += usize::from(cloud.reached().len() - before == PAGE);
    }
    assert!(kills > 0);
    workers.work_all();
    let repeats: usize = reached(&cloud).values().map(|times| times - 1).sum();
    assert_eq!(reached(&cloud).len(), 400);
    assert!(repeats <= kills * PAGE, "{repeats} repeats after {kills} kills");
}

#[test]
fn a_broadcast_divided_twice_goes_out_once() {
    let cloud = table(100);
    cloud.state().rows_told = 100_000;
    let mut workers = Workers::of(&cloud, r#"{"data":1}"#);
    workers.waiting.push_back(workers.waiting[0].clone());
    workers.work(0, None);
    // The table's count of rows is another one when the message is handed out again.
    cloud.state().rows_told = 0;
    workers.work(0, None);
    assert_eq!(workers.waiting.len(), 50, "the first number of segments holds");
    workers.work_all();
    assert!(reached(&cloud).len() == 100 && reached(&cloud).values().all(|times| *times == 1));
}

#[test]
fn what_an_invocation_has_no_time_for_is_put_back_and_nobody_gets_it_twice() {
    for request in [r#"{"data":1}"#, r#"{"users":["u0001","u0002","u0003","u0004"],"data":1}"#] {
        let cloud = table(60);
        for n in 0..25 {
            cloud.open("u0002", &format!("more{n}"), NOW - 60_000, None);
        }
        let mut workers = Workers::of(&cloud, request);
        // Ten posts a second for each worker, and a third of a second for each.
        (workers.rules.max_rate, workers.time) = (100, 300);
        workers.work_all();
        let expected = if request.contains("users") { 29 } else { 85 };
        assert_eq!(reached(&cloud).len(), expected, "{request}");
        assert!(reached(&cloud).values().all(|times| *times == 1), "{request}");
        assert!(cloud.state().sent.len() > 5);
    }
}

#[test]
fn a_worker_never_posts_faster_than_its_share() {
    let cloud = table(600);
    cloud.state().page_rows = 1000;
    let mut workers = Workers::of(&cloud, r#"{"data":1}"#);
    workers.rules.max_rate = 1000;
    workers.work_all();
    let times = cloud.state().post_times.clone();
    assert_eq!(times.len(), 600);
    for (n, from) in times.iter().enumerate() {
        let in_second = times[n..].iter().take_while(|at| **at < from + 1_000_000).count();
        assert!(in_second <= 100, "{in_second} posts in the second from {from}");
    }
}

#[test]
fn a_throttled_worker_becomes_slower_at_once() {
    let time_for = |throttled: bool| {
        let cloud = table(600);
        cloud.state().page_rows = 1000;
        if throttled {
            cloud.state().answers.insert("c0000".into(), VecDeque::from([Posted::Throttled]));
        }
        let mut workers = Workers::of(&cloud, r#"{"data":1}"#);
        workers.rules.max_rate = 1000;
        workers.work_all();
        assert_eq!(reached(&cloud).len(), 600);
        cloud.state().waited_us / 1000
    };
    let (usual, throttled) = (time_for(false), time_for(true));
    assert!(throttled > usual * 4 / 3, "{throttled} ms and {usual} ms");
}

#[test]
fn a_page_that_cannot_be_read_comes_later_and_ends_with_its_reason() {
    let cloud = table(100);
    let mut workers = Workers::of(&cloud, r#"{"data":1}"#);
    workers.work(0, None);
    let put = cloud.sent_to("pushes").len();
    cloud.fail("scan", 3);
    workers.waiting.truncate(1);
    workers.work(0, None);
    workers.work(0, None);
    assert_eq!(cloud.sent_to("pushes")[put..].iter().map(|(_, delay)| *delay).collect::<Vec<_>>(), [5, 10]);
    workers.work(0, None);
    let letters = cloud.sent_to("pushes dead letters");
    let reason = "a page of the broadcast could not be read after the last attempt";
    assert_eq!(letters[0].0.attributes, [Attribute::text("reason", reason)]);
    // Redriven it goes on.
    workers.waiting.push_back(("redriven".into(), letters[0].0.body.clone(), "pushes", 0));
    workers.work_all();
    assert!(!cloud.reached().is_empty() && cloud.sent_to("pushes dead letters").len() == 1);
}

#[test]
fn a_broadcast_that_fits_into_no_item_is_set_aside_with_its_reason() {
    let users: Vec<String> = (0..20_000).map(|n| format!("excluded{n:06}")).collect();
    let request = json!({"exclude_users": users, "data": 1}).to_string();
    let small = table(PAGE - 1);
    Workers::of(&small, &request).work_all();
    assert_eq!(reached(&small).len(), PAGE - 1, "a table of one page needs no item");
    let large = table(100);
    Workers::of(&large, &request).work_all();
    let (letter, _) = &large.sent_to("dead letters")[0];
    assert!(letter.body == request && large.reached().is_empty() && large.sent_to("pushes").is_empty());
    assert!(format!("{:?}", letter.attributes).contains("too much for a broadcast"));
}

#[test]
fn bad_items_go_to_the_dead_letters_of_their_own_queue() {
    let cloud = table(1);
    let item = r#"{"job":"j","segment":0,"segments":4,"step":0,"ticket":"t","cursor":null,"notification":{"data":1}}"#;
    for (queue, letters) in [("pushes", "pushes dead letters"), ("notifications", "dead letters")] {
        run(pusher(&cloud, rules()).handle(event("m", item, queue), NOW + 120_000)).unwrap();
        assert_eq!(cloud.sent_to(letters).len(), 1, "{queue}");
    }
    assert!(cloud.reached().is_empty(), "only the pusher puts items");
}

#[test]
fn an_item_that_has_expired_ends_there() {
    let cloud = table(100);
    let mut workers = Workers::of(&cloud, &format!(r#"{{"data":1,"expiresAt":{}}}"#, NOW / 1000 + 5));
    workers.work(0, None);
    cloud.state().now += 10_000;
    workers.work_all();
    assert!(cloud.reached().is_empty());
}
