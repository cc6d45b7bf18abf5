//! What the emulator holds but is not to work on, and how it looks from both sides.
//!
//! | asked for | held as |
//! |---|---|
//! | an event source of a queue or a stream | the same, disabled |
//! | a function's subscription | that of a queue whose name is the function's backwards, so that lists of a stack's names do not find it |
//! | time to live by an attribute | by one that no item has |

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::source::{Kind, Source};
use crate::gateway::call::{Call, Service};
use crate::gateway::wire::Answer;

const QUEUE: &str = "held-";
const ATTRIBUTE: &str = "held:";

/// What is held.
#[derive(Debug)]
pub struct Held {
    state: watch::Sender<State>,
    pace: Duration,
}

/// Everything that is to be worked on.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Event sources by their ids.
    pub sources: BTreeMap<String, Source>,
    /// ARNs of functions that have a subscription.
    pub functions: BTreeSet<String>,
    /// The attribute of time to live, by table.
    pub tables: BTreeMap<String, String>,
}

impl Held {
    /// Nothing yet. A source that is made or changed begins to work so much later.
    #[must_use]
    pub fn with_pace(pace: Duration) -> Self {
        Self { state: watch::Sender::default(), pace }
    }

    /// Everything, now and whenever it changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// An event source; nothing when it is gone.
    #[must_use]
    pub fn source(&self, uuid: &str) -> Option<Source> {
        self.state.borrow().sources.get(uuid).cloned()
    }

    /// Waits until an event source is to work; nothing when it is gone.
    pub async fn at_work(&self, uuid: &str) -> Option<Source> {
        let mut changes = self.changes();
        loop {
            let source = changes.borrow_and_update().sources.get(uuid).cloned()?;
            if source.is_enabled {
                if source.from <= Instant::now() {
                    return Some(source);
                }
                crate::poll::pass(source.from.saturating_duration_since(Instant::now())).await;
            } else if changes.changed().await.is_err() {
                return None;
            }
        }
    }

    /// The function whose subscription a call asks for.
    pub(crate) fn notified(call: &Call) -> Option<&str> {
        let is = call.service == Service::Sns && call.operation == "Subscribe" && call.text("Protocol") == "lambda";
        Some(call.text("Endpoint")).filter(|endpoint| is && queue_of(endpoint).is_some())
    }

    /// The body to pass on in the place of a call's own.
    pub(crate) fn before(&self, call: &Call, body: &Bytes) -> Option<Bytes> {
        match (call.service, call.operation.as_str()) {
            (Service::Lambda, operation)
                if (operation == "CreateEventSourceMapping" && is_ours(call))
                    || (operation == "UpdateEventSourceMapping" && self.source(call.id(0)).is_some()) =>
            {
                let mut input: Value = serde_json::from_slice(body).ok()?;
                input["Enabled"] = false.into();
                Some(input.to_string().into())
            }
            (Service::DynamoDb, "UpdateTimeToLive") => {
                let mut input: Value = serde_json::from_slice(body).ok()?;
                let attribute =
                    input["TimeToLiveSpecification"]["AttributeName"].as_str().filter(|it| !it.is_empty())?;
                input["TimeToLiveSpecification"]["AttributeName"] = format!("{ATTRIBUTE}{attribute}").into();
                Some(input.to_string().into())
            }
            (Service::Sns, "Subscribe") => {
                let queue = queue_of(Self::notified(call)?)?;
                let fields = form_urlencoded::parse(body).map(|(name, value)| match name.as_ref() {
                    "Protocol" => (name, "sqs".into()),
                    "Endpoint" => (name, queue.clone().into()),
                    _ => (name, value),
                });
                Some(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into())
            }
            _ => None,
        }
    }

    /// What a good answer says to who asked, of what is held.
    pub(crate) fn after(&self, call: &Call, answer: Answer) -> Answer {
        if !answer.is_good() {
            return answer;
        }
        match (call.service, call.operation.as_str()) {
            (Service::Lambda, operation) if operation.contains("EventSourceMapping") => self.after_source(call, answer),
            (Service::Lambda, "DeleteFunction") => {
                let suffix = format!(":{}", call.id(0).rsplit(':').next().unwrap_or_default());
                self.change(|state| state.functions.retain(|function| !function.ends_with(&suffix)));
                answer
            }
            (Service::Sns, "Subscribe") => {
                if let Some(function) = Self::notified(call) {
                    self.change(|state| state.functions.extend([function.to_owned()]));
                }
                answer
            }
            (Service::Sns, operation) if operation.contains("Subscription") => subscriptions(answer),
            (Service::DynamoDb, "UpdateTimeToLive") => {
                let wanted = &call.input()["TimeToLiveSpecification"];
                let (table, attribute) = (call.text("TableName"), wanted["AttributeName"].as_str().unwrap_or_default());
                self.change(|state| {
                    state.tables.remove(table);
                    if wanted["Enabled"] == true {
                        state.tables.insert(table.to_owned(), attribute.to_owned());
                    }
                });
                ttl(answer, "TimeToLiveSpecification")
            }
            (Service::DynamoDb, "DescribeTimeToLive") => ttl(answer, "TimeToLiveDescription"),
            (Service::DynamoDb, "DeleteTable") => {
                self.change(|state| drop(state.tables.remove(call.text("TableName"))));
                answer
            }
            _ => answer,
        }
    }

    fn after_source(&self, call: &Call, answer: Answer) -> Answer {
        let mut body = answer.json();
        match call.operation.as_str() {
            "CreateEventSourceMapping" if is_ours(call) => {
                let is_enabled = call.input()["Enabled"] != false;
                let uuid = body["UUID"].as_str().unwrap_or_default().to_owned();
                with_members(&mut body, call.input());
                let source = Source { settings: body.clone(), is_enabled, from: Instant::now() + self.pace };
                self.change(|state| drop(state.sources.insert(uuid, source)));
            }
            "UpdateEventSourceMapping" => self.change(|state| {
                let Some(source) = state.sources.get_mut(call.id(0)) else { return };
                with_members(&mut source.settings, call.input());
                source.is_enabled = call.input()["Enabled"].as_bool().unwrap_or(source.is_enabled);
                source.from = Instant::now() + self.pace;
            }),
            "DeleteEventSourceMapping" => self.change(|state| drop(state.sources.remove(call.id(0)))),
            _ => {}
        }
        let is_list = body["EventSourceMappings"].is_array();
        let sources = if is_list { body["EventSourceMappings"].as_array_mut() } else { None };
        match sources {
            Some(sources) => sources.iter_mut().for_each(|source| self.show(source)),
            None => self.show(&mut body),
        }
        answer.with_json(&body)
    }

    /// Shows a source as it was asked for.
    fn show(&self, body: &mut Value) {
        if let Some(source) = self.source(body["UUID"].as_str().unwrap_or_default()) {
            body["State"] = if source.is_enabled { "Enabled" } else { "Disabled" }.into();
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }
}

/// The ARN of the queue that stands for a function in a subscription; nothing for a version or an alias.
#[must_use]
pub fn queue_of(function: &str) -> Option<String> {
    let [arn, aws, "lambda", region, account, "function", name] = function.split(':').collect::<Vec<_>>()[..] else {
        return None;
    };
    Some(format!("{arn}:{aws}:sqs:{region}:{account}:{QUEUE}{}", name.chars().rev().collect::<String>()))
}

/// The function for which a queue stands.
#[must_use]
pub fn function_of(queue: &str) -> Option<String> {
    let [arn, aws, "sqs", region, account, name] = queue.split(':').collect::<Vec<_>>()[..] else { return None };
    let name: String = name.strip_prefix(QUEUE)?.chars().rev().collect();
    Some(format!("{arn}:{aws}:lambda:{region}:{account}:function:{name}"))
}

/// The attribute that was asked for.
#[must_use]
pub fn attribute_of(held: &str) -> &str {
    held.strip_prefix(ATTRIBUTE).unwrap_or(held)
}

/// Sources that we know how to work on.
fn is_ours(call: &Call) -> bool {
    Kind::of(call.text("EventSourceArn")).is_some() && call.input()["FilterCriteria"].is_null()
}

fn with_members(settings: &mut Value, asked: &Value) {
    for (name, value) in asked.as_object().into_iter().flatten() {
        if name != "FunctionName" && name != "Enabled" {
            settings[name.as_str()] = value.clone();
        }
    }
}

fn ttl(answer: Answer, member: &str) -> Answer {
    let mut body = answer.json();
    let Some(held) = body[member]["AttributeName"].as_str() else { return answer };
    body[member]["AttributeName"] = attribute_of(held).to_owned().into();
    answer.with_json(&body)
}

/// Shows functions in the place of their queues: in each member of a list, or in the attributes of one.
fn subscriptions(answer: Answer) -> Answer {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let shown: String = text.split_inclusive("</member>").map(subscription).collect();
    if shown == text { answer } else { answer.with_text(shown) }
}

fn subscription(text: &str) -> String {
    let endpoint = text.split(['<', '>']).find_map(|part| Some((part, function_of(part)?)));
    let Some((queue, function)) = endpoint else { return text.to_owned() };
    text.replace(queue, &function)
        .replace("<Protocol>sqs<", "<Protocol>lambda<")
        .replace("<key>Protocol</key><value>sqs<", "<key>Protocol</key><value>lambda<")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_and_its_queue_name_each_other() {
        let function = "arn:aws:lambda:r:1:function:sumu-live-pusher";
        let queue = queue_of(function).unwrap();
        assert_eq!(queue, "arn:aws:sqs:r:1:held-rehsup-evil-umus");
        assert_eq!(function_of(&queue).as_deref(), Some(function));
        assert_eq!(queue_of("arn:aws:lambda:r:1:function:f:alias"), None);
        assert_eq!(function_of("arn:aws:sqs:r:1:other"), None);
    }

    #[test]
    fn a_list_of_subscriptions_shows_functions_and_leaves_real_queues() {
        let list = |protocol: &str, endpoint: &str| {
            format!(
                "<TopicArn>arn:aws:sns:r:1:t</TopicArn><Protocol>{protocol}</Protocol><Endpoint>{endpoint}</Endpoint>"
            )
        };
        let real = list("sqs", "arn:aws:sqs:r:1:q");
        let held = format!("{real}{}{real}", list("sqs", "arn:aws:sqs:r:1:held-f"));
        let shown = subscriptions(Answer::new(200, "text/xml", held));
        let expected = format!("{real}{}{real}", list("lambda", "arn:aws:lambda:r:1:function:f"));
        assert_eq!(String::from_utf8_lossy(&shown.body), expected);
        let entries = "<key>Endpoint</key><value>arn:aws:sqs:r:1:held-f</value><key>Protocol</key><value>sqs</value>";
        let shown = subscriptions(Answer::new(200, "text/xml", entries));
        assert!(String::from_utf8_lossy(&shown.body).ends_with("<key>Protocol</key><value>lambda</value>"));
    }
}
