//! What the gateway remembers of the calls that pass: times, and what is on its way to another state.

use std::time::Instant;

use serde_json::Value;

use super::call::{Call, Service};
use super::facts::{Change, Facts, Passage, Put, last};
use super::wire::Answer;

impl Facts {
    /// Remembers what a call has done.
    pub(super) fn learn(&self, call: &Call, answer: &Answer) {
        if !answer.is_good() || call.is_read() {
            return;
        }
        match (call.service, call.operation.as_str()) {
            (Service::Iam, "CreateRole") => {
                self.memory().roles_made.insert(call.text("RoleName").to_owned(), Instant::now());
            }
            (Service::Iam, "PutRolePolicy") => self.learn_policy(call),
            (Service::Iam, "DeleteRolePolicy") => {
                self.memory().policies_put.remove(&policy(call));
            }
            (Service::Lambda, "CreateFunction") => self.learn_function(call.text("FunctionName"), true),
            (Service::Lambda, "UpdateFunctionCode" | "UpdateFunctionConfiguration") => {
                self.learn_function(last(call.id(0)), false);
            }
            (Service::Lambda, operation) if operation.ends_with("EventSourceMapping") => {
                self.learn_source(operation, answer);
            }
            (Service::DynamoDb, "UpdateTimeToLive") => {
                self.memory().lives_changed.insert(last(call.text("TableName")).to_owned(), Instant::now());
            }
            (Service::DynamoDb, "CreateTable" | "UpdateTable" | "DeleteTable") => self.learn_table(call, answer),
            (Service::Sqs, "DeleteQueue") => {
                self.memory().queues_deleted.insert(last(call.text("QueueUrl")).to_owned(), Instant::now());
            }
            (Service::ApiGateway, "CreateDomainName") => self.learn_domain(call.text("domainName")),
            (Service::ApiGateway, "UpdateDomainName") => self.learn_domain(call.id(0)),
            (Service::ApiGateway, "TagResource" | "UntagResource") => {
                self.memory().apis_tagged.insert(last(call.id(0)).to_owned());
            }
            _ => {}
        }
    }

    fn learn_policy(&self, call: &Call) {
        let document = serde_json::from_str(call.text("PolicyDocument")).unwrap_or_default();
        let mut memory = self.memory();
        let before = memory
            .policies_put
            .remove(&policy(call))
            .map_or(Value::Null, |put| if put.at.elapsed() < self.pace.policy { put.before } else { put.document });
        memory.policies_put.insert(policy(call), Put { at: Instant::now(), document, before });
    }

    fn learn_domain(&self, name: &str) {
        self.memory().domains.insert(name.to_owned(), Instant::now());
    }

    fn learn_function(&self, name: &str, is_creation: bool) {
        self.memory().functions.insert(name.to_owned(), Change { is_creation, at: Instant::now() });
    }

    fn learn_source(&self, operation: &str, answer: &Answer) {
        let state = match operation {
            "CreateEventSourceMapping" => "Creating",
            "UpdateEventSourceMapping" => "Updating",
            _ => "Deleting",
        };
        let source = answer.json();
        let uuid = source["UUID"].as_str().unwrap_or_default().to_owned();
        let passage = Passage { state, until: Instant::now() + self.pace.source, last: source };
        self.memory().sources.insert(uuid, passage);
    }

    fn learn_table(&self, call: &Call, answer: &Answer) {
        let state = match call.operation.as_str() {
            "CreateTable" => "CREATING",
            "UpdateTable" => "UPDATING",
            _ => "DELETING",
        };
        if state != "UPDATING" {
            self.memory().lives_changed.remove(call.text("TableName"));
        }
        let last = answer.json()["TableDescription"].take();
        let passage = Passage { state, until: Instant::now() + self.pace.table, last };
        self.memory().tables.insert(call.text("TableName").to_owned(), passage);
    }
}

/// The names of the role and of its policy.
fn policy(call: &Call) -> (String, String) {
    (call.text("RoleName").to_owned(), call.text("PolicyName").to_owned())
}
