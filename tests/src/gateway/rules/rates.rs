//! How many calls the control planes take from an account.

use crate::gateway::call::{Call, Service};
use crate::gateway::facts::{Bucket, Facts};
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::Refusal;

/// Calls a second, and calls at once.
type Rate = (f64, f64);

const ALL: Rate = (10.0, 40.0);
const FUNCTION_READS: Rate = (100.0, 100.0);
const FUNCTIONS: Rate = (15.0, 15.0);
const LOG_GROUPS: Rate = (10.0, 10.0);
const TABLE_TAGS: Rate = (10.0, 10.0);
/// Of each of the two.
const TABLE_TAGGING: Rate = (5.0, 5.0);
const TABLE_BACKUPS: Rate = (10.0, 10.0);
const QUEUE_TAGS: Rate = (30.0, 30.0);
const TOPICS: Rate = (30.0, 30.0);
/// Of each of the three.
const TOPIC_TAGS: Rate = (10.0, 10.0);
const ZONES: Rate = (5.0, 5.0);
const DEPLOYMENTS: Rate = (1.0 / 5.0, 1.0);
/// Of each of the three.
const DOMAINS: Rate = (1.0 / 30.0, 1.0);
/// Published for REST APIs, and taken for others too.
const DELETIONS: Rate = (1.0 / 30.0, 1.0);

/// Each has a rate of its own.
const LOG_CALLS: [&str; 5] =
    ["CreateLogGroup", "DeleteLogGroup", "DescribeLogGroups", "PutRetentionPolicy", "ListTagsForResource"];

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "api-rate",
        says: "An account makes 10 calls a second and 40 at once, one deployment in 5 s, deletes one API in 30 s, and \
               makes, changes and deletes one domain name each in 30 s.",
        source: "API Gateway Developer Guide, quotas: all control-plane actions, CreateDeployment, DeleteRestApi, \
                 CreateDomainName, UpdateDomainName, DeleteDomainName",
        service: Service::ApiGateway,
        operations: &[],
        act: Act::RefuseAtOnce(of_gateway),
    },
    Rule {
        name: "function-rate",
        says: "An account makes 100 GetFunction and 15 other calls a second, invocations not counted.",
        source: "Lambda Developer Guide, quotas: Lambda API requests",
        service: Service::Lambda,
        operations: &[],
        act: Act::RefuseAtOnce(of_functions),
    },
    Rule {
        name: "log-rate",
        says: "An account makes 10 calls a second of each kind that is about log groups.",
        source: "CloudWatch Logs User Guide, quotas: CreateLogGroup, DescribeLogGroups and others",
        service: Service::Logs,
        operations: &LOG_CALLS,
        act: Act::RefuseAtOnce(of_logs),
    },
    Rule {
        name: "table-rate",
        says: "An account makes 10 ListTagsOfResource, 10 DescribeContinuousBackups, 5 TagResource and 5 UntagResource a second.",
        source: "DynamoDB API Reference: ListTagsOfResource, TagResource, UntagResource, DescribeContinuousBackups",
        service: Service::DynamoDb,
        operations: &["ListTagsOfResource", "TagResource", "UntagResource", "DescribeContinuousBackups"],
        act: Act::RefuseAtOnce(of_tables),
    },
    Rule {
        name: "queue-rate",
        says: "An account makes 30 calls a second about the tags of queues.",
        source: "SQS Developer Guide, cost allocation tags: tagging actions",
        service: Service::Sqs,
        operations: &["TagQueue", "UntagQueue", "ListQueueTags"],
        act: Act::RefuseAtOnce(of_queues),
    },
    Rule {
        name: "topic-rate",
        says: "An account makes 10 calls a second of each kind about tags, and 30 of each of CreateTopic, DeleteTopic and \
               ListSubscriptionsByTopic.",
        source: "Amazon SNS endpoints and quotas: API requests",
        service: Service::Sns,
        operations: &TOPIC_CALLS,
        act: Act::RefuseAtOnce(of_topics),
    },
    Rule {
        name: "zone-rate",
        says: "An account makes 5 calls a second.",
        source: "Route 53 Developer Guide, quotas: API requests",
        service: Service::Route53,
        operations: &[],
        act: Act::RefuseAtOnce(of_zones),
    },
];

const TOPIC_CALLS: [&str; 6] =
    ["CreateTopic", "DeleteTopic", "ListSubscriptionsByTopic", "TagResource", "UntagResource", "ListTagsForResource"];

/// Whether a call is within its rates. A rate that it is beyond has been asked all the same.
fn is_within(facts: &Facts, rates: &[(&'static str, Rate)]) -> bool {
    let Some(factor) = facts.pace.rate else { return true };
    let mut memory = facts.memory();
    rates.iter().all(|(name, (per_second, burst))| {
        memory.buckets.entry(*name).or_insert_with(|| Bucket::full(*burst)).take(per_second * factor, *burst)
    })
}

fn of_gateway(call: &Call, facts: &Facts) -> Option<Refusal> {
    let all = ("all", ALL);
    let is_within = match call.operation.as_str() {
        // What is refused for its own rate has cost a call of the account's all the same.
        "CreateDeployment" => is_within(facts, &[all, ("CreateDeployment", DEPLOYMENTS)]),
        "DeleteApi" => is_within(facts, &[all, ("DeleteApi", DELETIONS)]),
        "CreateDomainName" => is_within(facts, &[all, ("CreateDomainName", DOMAINS)]),
        "UpdateDomainName" => is_within(facts, &[all, ("UpdateDomainName", DOMAINS)]),
        "DeleteDomainName" => is_within(facts, &[all, ("DeleteDomainName", DOMAINS)]),
        _ => is_within(facts, &[all]),
    };
    (!is_within).then(|| Refusal::new(429, "TooManyRequestsException", "Too Many Requests"))
}

fn of_functions(call: &Call, facts: &Facts) -> Option<Refusal> {
    let is_within = match call.operation.as_str() {
        "Invoke" => true,
        "GetFunction" => is_within(facts, &[("GetFunction", FUNCTION_READS)]),
        _ => is_within(facts, &[("functions", FUNCTIONS)]),
    };
    (!is_within).then(|| Refusal::new(429, "TooManyRequestsException", "Rate exceeded"))
}

fn of_logs(call: &Call, facts: &Facts) -> Option<Refusal> {
    let kind = LOG_CALLS.into_iter().find(|known| *known == call.operation)?;
    (!is_within(facts, &[(kind, LOG_GROUPS)])).then(|| Refusal::new(400, "ThrottlingException", "Rate exceeded"))
}

fn of_tables(call: &Call, facts: &Facts) -> Option<Refusal> {
    let rate = match call.operation.as_str() {
        "TagResource" => ("table TagResource", TABLE_TAGGING),
        "UntagResource" => ("table UntagResource", TABLE_TAGGING),
        "DescribeContinuousBackups" => ("table backups", TABLE_BACKUPS),
        _ => ("table tags", TABLE_TAGS),
    };
    let says = "Rate of requests exceeds the allowed throughput.";
    (!is_within(facts, &[rate])).then(|| Refusal::new(400, "ThrottlingException", says))
}

fn of_queues(_: &Call, facts: &Facts) -> Option<Refusal> {
    (!is_within(facts, &[("queue tags", QUEUE_TAGS)]))
        .then(|| Refusal::new(403, "RequestThrottled", "Request is throttled."))
}

fn of_topics(call: &Call, facts: &Facts) -> Option<Refusal> {
    let kind = TOPIC_CALLS.into_iter().find(|known| *known == call.operation)?;
    let rate = if kind.contains("Tag") { TOPIC_TAGS } else { TOPICS };
    (!is_within(facts, &[(kind, rate)])).then(throttling)
}

fn of_zones(_: &Call, facts: &Facts) -> Option<Refusal> {
    (!is_within(facts, &[("zones", ZONES)])).then(throttling)
}

fn throttling() -> Refusal {
    Refusal::new(400, "Throttling", "Rate exceeded")
}
