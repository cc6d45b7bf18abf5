//! DynamoDB tables: one change at a time, and none at once.

use std::time::Instant;

use aws_sdk_dynamodb::types::TimeToLiveStatus;
use futures::FutureExt;

use super::{Found, asked, refuse};
use crate::delivery::held::attribute_of;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::{Facts, last};
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::{Answer, Refusal};

const INVALID: &str = "ValidationException";

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "table-states",
        says: "A table is CREATING, UPDATING and DELETING for seconds, and described until it is gone.",
        source: "DynamoDB API Reference, TableDescription: TableStatus; measured: 2 to 6 s",
        service: Service::DynamoDb,
        operations: &["CreateTable", "UpdateTable", "DeleteTable", "DescribeTable"],
        act: Act::Mend(|call, facts, answer| async move { Ok(states(call, facts, answer)) }.boxed()),
    },
    Rule {
        name: "table-busy",
        says: "A table that is not ACTIVE takes no change, and its name is not free.",
        source: "DynamoDB API Reference, UpdateTable, DeleteTable, CreateTable: ResourceInUseException",
        service: Service::DynamoDb,
        operations: &["CreateTable", "UpdateTable", "DeleteTable", "UpdateTimeToLive"],
        act: Act::Refuse(|call, facts| async move { busy(call, facts) }.boxed()),
    },
    Rule {
        name: "table-not-yet",
        says: "A table that is CREATING has neither tags nor items: ResourceNotFoundException.",
        source: "DynamoDB API Reference, TagResource, PutItem: ResourceNotFoundException; measured",
        service: Service::DynamoDb,
        operations: &[
            "TagResource",
            "UntagResource",
            "ListTagsOfResource",
            "PutItem",
            "GetItem",
            "UpdateItem",
            "DeleteItem",
            "Query",
            "Scan",
        ],
        act: Act::RefuseAtOnce(not_yet),
    },
    Rule {
        name: "table-ttl-once",
        says: "Time to live that is on cannot be switched on, nor off when it is off, nor moved to another attribute.",
        source: "Measured: UpdateTimeToLive, ValidationException",
        service: Service::DynamoDb,
        operations: &["UpdateTimeToLive"],
        act: Act::Refuse(|call, facts| ttl(call, facts).boxed()),
    },
    Rule {
        name: "table-ttl-cool-down",
        says: "Time to live that was changed cannot be changed again for about an hour.",
        source: "DynamoDB API Reference, UpdateTimeToLive; measured: ValidationException",
        service: Service::DynamoDb,
        operations: &["UpdateTimeToLive"],
        act: Act::RefuseAtOnce(cool_down),
    },
    Rule {
        name: "table-stream-once",
        says: "A stream that is on cannot be switched on or changed, nor off when it is off.",
        source: "DynamoDB API Reference, UpdateTable: StreamSpecification; measured messages",
        service: Service::DynamoDb,
        operations: &["UpdateTable"],
        act: Act::Refuse(|call, facts| stream(call, facts).boxed()),
    },
    Rule {
        name: "table-recovery-not-yet",
        says: "A table that was just made neither tells nor takes point-in-time recovery, for as long again as that took.",
        source: "DynamoDB API Reference, UpdateContinuousBackups: ContinuousBackupsUnavailableException; measured: 1 to 3 s",
        service: Service::DynamoDb,
        operations: &["DescribeContinuousBackups", "UpdateContinuousBackups"],
        act: Act::RefuseAtOnce(recovery_not_yet),
    },
];

fn states(call: &Call, facts: &Facts, answer: Answer) -> Answer {
    let Some(passage) = facts.table(call.text("TableName")) else { return answer };
    let member = if call.operation == "DescribeTable" { "Table" } else { "TableDescription" };
    if answer.is_good() {
        let mut body = answer.json();
        body[member]["TableStatus"] = passage.state.into();
        return answer.with_json(&body);
    }
    if call.operation != "DescribeTable" || passage.state != "DELETING" {
        return answer;
    }
    let mut table = passage.last;
    table["TableStatus"] = passage.state.into();
    let answer = Answer { status: 200, ..answer };
    answer.with_json(&serde_json::json!({ member: table }))
}

fn busy(call: &Call, facts: &Facts) -> Found {
    let name = call.text("TableName");
    let Some(passage) = facts.table(name) else { return Ok(None) };
    let doing = match passage.state {
        // What the emulator says of a table that is there.
        "CREATING" | "UPDATING" if call.operation == "CreateTable" => return Ok(None),
        "CREATING" => "created",
        "UPDATING" => "updated",
        _ => "deleted",
    };
    let message = format!("Attempt to change a resource which is still in use: Table is being {doing}: {name}");
    refuse(400, "ResourceInUseException", message)
}

fn not_yet(call: &Call, facts: &Facts) -> Option<Refusal> {
    // Nearly always, and then nobody needs to read the item.
    if facts.memory().tables.values().all(|passage| passage.until <= Instant::now()) {
        return None;
    }
    let arn = call.text("ResourceArn");
    let name = if arn.is_empty() { last(call.text("TableName")) } else { last(arn) };
    facts.table(name).filter(|passage| passage.state == "CREATING")?;
    let message = if arn.is_empty() {
        "Requested resource not found".to_owned()
    } else {
        format!("Requested resource not found: Table: {name} not found")
    };
    Some(Refusal::new(400, "ResourceNotFoundException", message))
}

async fn ttl(call: &Call, facts: &Facts) -> Found {
    let answer = asked(facts.dynamodb.describe_time_to_live().table_name(call.text("TableName")).send().await)?;
    let found = answer.and_then(|answer| answer.time_to_live_description);
    let on = found.filter(|found| found.time_to_live_status == Some(TimeToLiveStatus::Enabled));
    let on = on.and_then(|found| found.attribute_name).map(|held| attribute_of(&held).to_owned());
    let wanted = &call.input()["TimeToLiveSpecification"];
    let (attribute, enable) = (wanted["AttributeName"].as_str(), wanted["Enabled"] == true);
    match on.as_deref() {
        Some(have) if enable && Some(have) == attribute => refuse(400, INVALID, "TimeToLive is already enabled"),
        Some(have) if Some(have) != attribute => {
            let message = format!("TimeToLive is active on a different AttributeName: current AttributeName is {have}");
            refuse(400, INVALID, message)
        }
        None if !enable => refuse(400, INVALID, "TimeToLive is already disabled"),
        _ => Ok(None),
    }
}

fn cool_down(call: &Call, facts: &Facts) -> Option<Refusal> {
    let changed = facts.memory().lives_changed.get(last(call.text("TableName"))).copied()?;
    let message = "Time to live has been modified multiple times within a fixed interval";
    (changed.elapsed() < facts.pace.time_to_live).then(|| Refusal::new(400, INVALID, message))
}

async fn stream(call: &Call, facts: &Facts) -> Found {
    let Some(enable) = call.input()["StreamSpecification"]["StreamEnabled"].as_bool() else { return Ok(None) };
    let name = call.text("TableName");
    let answer = asked(facts.dynamodb.describe_table().table_name(name).send().await)?;
    let Some(table) = answer.and_then(|answer| answer.table) else { return Ok(None) };
    let is_on = table.stream_specification.is_some_and(|stream| stream.stream_enabled);
    let arn = table.latest_stream_arn.unwrap_or_default();
    match (enable, is_on) {
        (true, true) => refuse(400, INVALID, format!("Table already has an enabled stream: {arn}")),
        (false, false) => refuse(400, INVALID, format!("Table has no stream to disable: {name}")),
        _ => Ok(None),
    }
}

fn recovery_not_yet(call: &Call, facts: &Facts) -> Option<Refusal> {
    let name = last(call.text("TableName"));
    let made = facts.memory().tables.get(name).filter(|passage| passage.state == "CREATING")?.until;
    if Instant::now() >= made + facts.pace.table {
        return None;
    }
    Some(if call.is_read() {
        Refusal::new(400, "TableNotFoundException", format!("Table not found: {name}"))
    } else {
        let message = format!("Backups are being enabled for the table: {name}. Please retry later");
        Refusal::new(400, "ContinuousBackupsUnavailableException", message)
    })
}
