//! What the settings of a finished stack promise: nothing is lost on its way, nobody may do more than they must.

use std::collections::BTreeSet;

use serde_json::Value;
use sumu_contract::Function;
use sumu_operator::desired::policy::Document;
use sumu_operator::observed::{Observed, QueueState};
use sumu_operator::stack::name::{Names, QueueId, TableId, TopicId};

use crate::cloud::Pace;
use crate::fixtures::{Fixture, stack};
use crate::laws::settled;

/// DynamoDB has no narrower resource for these.
const NOT_OF_ONE_TABLE: [&str; 1] = ["dynamodb:ListStreams"];

/// A stack that has all there is.
const EVERYTHING: &str = "{presence: {gracePeriodSeconds: 30}, messages: {subscriptions: [
    {protocol: sqs, endpoint: 'arn:aws:sqs:eu-west-3:210987654321:orders'}]}}";

fn held(changes: &str) -> (Fixture, Observed) {
    let fixture = stack(changes);
    let held = settled(&fixture, Pace::INSTANT).held();
    (fixture, held)
}

fn number(queue: &QueueState, attribute: &str) -> i32 {
    queue.attributes[attribute].parse().unwrap()
}

/// The dead-letter queue of a queue, and after how many receives.
fn redrive(queue: &QueueState) -> Option<(String, String)> {
    let policy: Value = serde_json::from_str(queue.attributes.get("RedrivePolicy")?).unwrap();
    Some((policy["deadLetterTargetArn"].as_str()?.to_owned(), policy["maxReceiveCount"].to_string().replace('"', "")))
}

/// What a document allows: actions with the resources that they are allowed on.
fn allowed(document: &Document) -> Vec<(String, String)> {
    let texts = |value: &Value| -> Vec<String> {
        match value {
            Value::Array(values) => values.iter().map(|value| value.as_str().unwrap().to_owned()).collect(),
            value => vec![value.as_str().unwrap().to_owned()],
        }
    };
    let pairs = |statement: &Value| {
        let resources = texts(&statement["Resource"]);
        let actions = texts(&statement["Action"]).into_iter();
        actions.flat_map(|action| resources.clone().into_iter().map(move |on| (action.clone(), on))).collect::<Vec<_>>()
    };
    document.statements().flat_map(pairs).collect()
}

fn actions(held: &Observed, function: Function) -> BTreeSet<String> {
    let policy = held.roles[&function].policy.as_ref().unwrap();
    allowed(policy).into_iter().map(|(action, _)| action).collect()
}

#[test]
fn every_queue_that_feeds_somebody_has_a_dead_letter_queue_that_keeps_longer_than_it() {
    let (fixture, held) = held(EVERYTHING);
    let names = &fixture.desired.names;
    assert_eq!(held.queues.len(), QueueId::ALL.len());
    for (id, queue) in &held.queues {
        let Some((dead_letters, receives)) = redrive(queue) else {
            assert!(names.queue(*id).ends_with("-dead-letters"), "{id} has no dead-letter queue");
            continue;
        };
        let behind = QueueId::ALL.iter().find(|other| names.queue_arn(**other) == dead_letters).unwrap();
        assert!(names.queue(*behind).ends_with("-dead-letters") && receives == "5", "{id}");
        let keeps = number(queue, "MessageRetentionPeriod");
        let kept = number(&held.queues[behind], "MessageRetentionPeriod");
        // A letter's age counts from when it was first sent.
        assert!(kept == 14 * 86_400 && keeps < kept, "{id} keeps {keeps} s and its dead letters {kept} s");
    }
}

#[test]
fn what_a_topic_cannot_hand_over_and_what_fails_for_good_behind_it_is_kept() {
    let (fixture, held) = held("");
    let letters = fixture.desired.names.queue_arn(QueueId::NotificationsDeadLetters);
    let [subscription] = &held.topics[&TopicId::Notifications].subscriptions[..] else {
        panic!("not one subscription")
    };
    assert_eq!(subscription.dead_letters_arn.as_ref(), Some(&letters), "what SNS cannot hand over");
    assert_eq!(held.functions[&Function::Pusher].dead_letters_arn.as_ref(), Some(&letters), "what fails three times");
    assert!(actions(&held, Function::Pusher).contains("sqs:SendMessage"), "Lambda puts it there as the function");
    let policy = Document::parse(&held.queues[&QueueId::NotificationsDeadLetters].attributes["Policy"]);
    assert_eq!(allowed(&policy), [("sqs:SendMessage".to_owned(), letters)]);
    let statement = policy.statements().next().unwrap().to_string();
    assert!(statement.contains(&fixture.desired.names.topic_arn(TopicId::Notifications)), "{statement}");
}

#[test]
fn a_batch_with_one_bad_record_is_not_repeated_as_a_whole() {
    let (_, held) = held(EVERYTHING);
    assert!(!held.sources.is_empty() && held.sources.iter().all(|source| source.reports_item_failures));
    let bisecting: Vec<Function> =
        held.sources.iter().filter(|source| source.bisects).map(|source| source.function).collect();
    assert_eq!(bisecting, [Function::Watchdog]);
}

#[test]
fn a_message_is_hidden_for_as_long_as_all_tries_to_hand_it_over_take() {
    let (fixture, held) = held(EVERYTHING);
    let names = &fixture.desired.names;
    for source in &held.sources {
        let Some(id) = QueueId::ALL.iter().find(|id| names.queue_arn(**id) == source.source_arn) else { continue };
        let hidden = number(&held.queues[id], "VisibilityTimeout");
        let timeout = held.functions[&source.function].timeout_seconds;
        assert!(hidden >= 6 * timeout, "{id} hides for {hidden} s, {} may run for {timeout} s", source.function);
    }
}

#[test]
fn rows_have_a_time_to_live_and_changes_are_told_with_the_whole_row() {
    let (_, held) = held("");
    let table = &held.tables[&TableId::Connections];
    assert_eq!(table.ttl_attribute.as_deref(), Some("delete_at"));
    assert!(table.stream_arn.is_some() && !table.has_other_stream);
}

/// Whether this is something of the stack with these names.
fn is_of(names: &Names, api_id: &str, arn: &str) -> bool {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let kinds = ["table/", "log-group:/aws/lambda/"];
    let name = kinds.iter().find_map(|kind| resource.strip_prefix(kind)).unwrap_or(resource);
    name.starts_with(&format!("{}-", names.prefix())) || name.starts_with(&format!("{api_id}/"))
}

#[test]
fn every_role_is_for_its_function_and_for_what_is_of_this_stack_alone() {
    let (fixture, held) = held(EVERYTHING);
    let names = &fixture.desired.names;
    for (function, role) in &held.roles {
        assert_eq!(role.trust, Document::lambda_trust());
        for (action, resource) in allowed(role.policy.as_ref().unwrap()) {
            assert!(!action.contains('*'), "{function} may {action}");
            let is_narrow = is_of(names, held.api_id().unwrap(), &resource);
            assert!(is_narrow || NOT_OF_ONE_TABLE.contains(&&*action), "{function} may {action} on {resource}");
        }
    }
    let posters: Vec<&Function> =
        Function::ALL.iter().filter(|f| actions(&held, **f).contains("execute-api:ManageConnections")).collect();
    assert_eq!(posters, [&Function::Pusher]);
    let policy = held.roles[&Function::Pusher].policy.as_ref().unwrap();
    let posts = allowed(policy).into_iter().find(|(action, _)| action == "execute-api:ManageConnections").unwrap();
    assert!(posts.1.ends_with("/prod/POST/@connections/*"), "posting, and neither looking nor closing: {}", posts.1);
}

#[test]
fn the_pusher_may_do_all_that_a_push_can_take() {
    let (_, held) = held("");
    let calls = ["Query", "Scan", "DeleteItem", "UpdateItem", "DescribeTable"].map(|call| format!("dynamodb:{call}"));
    let may = actions(&held, Function::Pusher);
    assert!(calls.iter().all(|call| may.contains(call)), "{may:?}");
    assert!(!may.contains("dynamodb:PutItem"), "only who connects is written down");
}

#[test]
fn clients_are_throttled_and_waited_for_as_the_spec_and_the_functions_say() {
    let (_, held) = held("{gateway: {throttling: {rateLimit: 70, burstLimit: 90}}, pusher: {maxConcurrency: 7}}");
    let api = held.api().unwrap();
    assert_eq!((api.stages[0].rate_limit, api.stages[0].burst_limit), (Some(70.0), Some(90)));
    let waits = api.integrations[0].timeout_ms;
    let runs = held.functions[&Function::Routes].timeout_seconds * 1000;
    assert!(runs < waits && waits < 29_000, "API Gateway waits {waits} ms for a function that may run {runs} ms");
    let workers: Vec<Option<i32>> =
        held.sources.iter().filter(|s| s.function == Function::Pusher).map(|s| s.concurrency_max).collect();
    assert_eq!(workers, [Some(7), Some(7)]);
}

#[test]
fn whatever_a_client_sends_has_a_route_and_gets_an_answer() {
    let (_, held) = held("");
    for route in &held.api().unwrap().routes {
        let answers = !matches!(route.key.as_str(), "$connect" | "$disconnect");
        assert_eq!(route.response_selection.is_some(), answers, "{}", route.key);
        assert_eq!(route.responses.len(), usize::from(answers), "{}", route.key);
        assert_eq!(route.authorizer_id.is_some(), route.key == "$connect", "{}", route.key);
    }
    assert!(held.api().unwrap().routes.iter().any(|route| route.key == "$default"), "for what has no other route");
}

#[test]
fn a_table_with_a_protection_from_deletion_has_it() {
    let (_, protected) = held("connections: {deletionProtection: true}");
    assert!(protected.tables[&TableId::Connections].is_protected && !protected.tables[&TableId::Presence].is_protected);
    let (_, usual) = held("");
    assert!(!usual.tables[&TableId::Connections].is_protected);
}
