//! SNS topics and subscriptions: a second create is answered with the first one only when it is the same.

use std::collections::BTreeMap;

use futures::FutureExt;
use serde_json::Value;

use super::{Found, asked, refuse};
use crate::Result;
use crate::delivery::held::queue_of;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::{Facts, last};
use crate::gateway::rule::{Act, Rule};

const INVALID: &str = "InvalidParameter";

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "topic-other-tags",
        says: "A topic that exists is not made again with other tags.",
        source: "SNS API Reference, CreateTopic; recorded: \"Topic already exists with different tags\"",
        service: Service::Sns,
        operations: &["CreateTopic"],
        act: Act::Refuse(|call, facts| other_tags(call, facts).boxed()),
    },
    Rule {
        name: "subscription-other-attributes",
        says: "A subscription that exists is not made again with other attributes.",
        source: "Recorded: Subscribe, \"Subscription already exists with different attributes\"",
        service: Service::Sns,
        operations: &["Subscribe"],
        act: Act::Refuse(|call, facts| other_attributes(call, facts).boxed()),
    },
];

/// The entries of a list or a map in a form: `Tags.member.1.Key`, `Attributes.entry.1.key`.
fn entries(call: &Call, list: &str, key: &str, value: &str) -> BTreeMap<String, String> {
    let field = |at: usize, name: &str| call.input()[format!("{list}.{at}.{name}")].as_str().map(ToOwned::to_owned);
    (1..).map_while(|at| Some((field(at, key)?, field(at, value).unwrap_or_default()))).collect()
}

async fn topic(facts: &Facts, name: &str) -> Result<Option<String>> {
    let mut pages = facts.sns.list_topics().into_paginator().items().send();
    while let Some(topic) = pages.next().await {
        let arn = topic?.topic_arn.unwrap_or_default();
        if last(&arn) == name {
            return Ok(Some(arn));
        }
    }
    Ok(None)
}

async fn other_tags(call: &Call, facts: &Facts) -> Found {
    let wanted = entries(call, "Tags.member", "Key", "Value");
    let Some(arn) = topic(facts, call.text("Name")).await? else { return Ok(None) };
    // Without tags the topic is only looked up.
    if wanted.is_empty() {
        return Ok(None);
    }
    let answer = asked(facts.sns.list_tags_for_resource().resource_arn(arn).send().await)?;
    let have = answer.and_then(|answer| answer.tags).unwrap_or_default();
    let have: BTreeMap<String, String> = have.into_iter().map(|tag| (tag.key, tag.value)).collect();
    if have == wanted {
        return Ok(None);
    }
    refuse(400, INVALID, "Invalid parameter: Tags Reason: Topic already exists with different tags")
}

async fn other_attributes(call: &Call, facts: &Facts) -> Found {
    let pages = facts.sns.list_subscriptions_by_topic().topic_arn(call.text("TopicArn"));
    let mut pages = pages.into_paginator().items().send();
    let mut arn = None;
    while let Some(found) = pages.next().await {
        // A missing topic is the emulator's to tell.
        let Ok(found) = found else { return Ok(None) };
        let is_held = queue_of(call.text("Endpoint")).is_some_and(|queue| found.endpoint() == Some(&queue));
        let is_same =
            found.protocol() == Some(call.text("Protocol")) && found.endpoint() == Some(call.text("Endpoint"));
        if is_held || is_same {
            arn = found.subscription_arn;
        }
    }
    let Some(arn) = arn else { return Ok(None) };
    let have = asked(facts.sns.get_subscription_attributes().subscription_arn(arn).send().await)?;
    let have = have.and_then(|answer| answer.attributes).unwrap_or_default();
    let is_other =
        |(name, value): (&String, &String)| meaning(have.get(name).map_or("", String::as_str)) != meaning(value);
    if entries(call, "Attributes.entry", "key", "value").iter().any(is_other) {
        let message = "Invalid parameter: Attributes Reason: Subscription already exists with different attributes";
        return refuse(400, INVALID, message);
    }
    Ok(None)
}

/// What an attribute means, whatever the form of its JSON.
fn meaning(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
