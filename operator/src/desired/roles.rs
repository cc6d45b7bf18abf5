//! One role for each function, with what its code calls and nothing else.

use sumu_contract::Function;

use super::policy::{Document, Statement};
use crate::observed::Observed;
use crate::stack::StackSpec;
use crate::stack::name::{LogGroupId, Names, QueueId, TableId, TopicId};

/// The name of the one inline policy of each role. Inline policies go with their role and have no versions.
pub const POLICY_NAME: &str = "sumu";

/// A function's role.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    statements: Vec<Statement>,
    /// The stage whose connections the function posts to. Its ARN has the API's id, which AWS assigns.
    posts_to_stage: Option<String>,
    /// Whether the function works on the departures queue. It may do so for as long as there is one.
    takes_departures: Departures,
}

/// Who may work on the departures queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Departures {
    /// Not this function.
    Never,
    /// This function, until the queue is gone. A right that goes before would leave an event source that cannot work.
    UntilGone,
    /// This function.
    Always,
}

impl Role {
    /// The inline policy, or nothing while the API that it speaks of does not exist.
    #[must_use]
    pub fn policy(&self, names: &Names, observed: &Observed) -> Option<Document> {
        let mut statements = self.statements.clone();
        if let Some(stage) = &self.posts_to_stage {
            statements.push(Statement::allow(
                "PostToConnections",
                ["execute-api:ManageConnections"],
                [names.execute_api_arn(observed.api_id()?, &format!("{stage}/POST/@connections/*"))],
            ));
        }
        let takes_departures = match self.takes_departures {
            Departures::Never => false,
            Departures::UntilGone => observed.queues.contains_key(&QueueId::Departures),
            Departures::Always => true,
        };
        if takes_departures {
            statements.push(take("TakeDepartures", [names.queue_arn(QueueId::Departures)]));
            statements.push(send("KeepDepartures", [names.queue_arn(QueueId::Departures)]));
        }
        Some(Document::of(statements))
    }
}

/// The role of one function.
pub(super) fn of(function: Function, names: &Names, spec: &StackSpec) -> Role {
    let connections = names.table_arn(TableId::Connections);
    let mut statements = vec![Statement::allow(
        "WriteOwnLog",
        // Not CreateLogGroup: a late invocation must not bring a deleted log group back.
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        [format!("{}:*", names.log_group_arn(LogGroupId::Function(function)))],
    )];
    match function {
        Function::Authorizer => {}
        Function::Routes => statements.extend([
            Statement::allow("KeepConnections", ["dynamodb:PutItem", "dynamodb:DeleteItem"], [connections]),
            send("SendMessages", [names.queue_arn(QueueId::Messages)]),
            Statement::allow("PublishMessages", ["sns:Publish"], [names.topic_arn(TopicId::Messages)]),
        ]),
        Function::Pusher => statements.extend([
            take("TakeRequests", [QueueId::Notifications, QueueId::Pushes].map(|queue| names.queue_arn(queue))),
            send(
                "DivideRetryAndRefuse",
                [QueueId::Pushes, QueueId::NotificationsDeadLetters, QueueId::PushesDeadLetters]
                    .map(|queue| names.queue_arn(queue)),
            ),
            Statement::allow(
                "FindConnections",
                // UpdateItem and DescribeTable are for broadcasts: whose turn it is, and how far to divide.
                [
                    "dynamodb:Query",
                    "dynamodb:Scan",
                    "dynamodb:DeleteItem",
                    "dynamodb:UpdateItem",
                    "dynamodb:DescribeTable",
                ],
                [connections],
            ),
        ]),
        Function::Watchdog => statements.extend([
            Statement::allow(
                "ReadStream",
                ["dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"],
                [format!("{connections}/stream/*")],
            ),
            // DynamoDB has no narrower resource for this action.
            Statement::allow("ListStreams", ["dynamodb:ListStreams"], ["*"]),
            Statement::allow("SeeConnections", ["dynamodb:Query"], [connections]),
            Statement::allow(
                "KeepPresence",
                ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
                [names.table_arn(TableId::Presence)],
            ),
            send("AnnounceOnQueue", [names.queue_arn(QueueId::Messages)]),
            // Lambda puts there, as this role, what of the stream could not be worked off.
            send("GiveUp", [names.queue_arn(QueueId::PresenceDeadLetters)]),
            Statement::allow("AnnounceOnTopic", ["sns:Publish"], [names.topic_arn(TopicId::Messages)]),
        ]),
    }
    let posts_to_stage = (function == Function::Pusher).then(|| spec.stage_name.clone());
    let takes_departures = match (function, spec.grace_period_seconds) {
        (Function::Watchdog, 0) => Departures::UntilGone,
        (Function::Watchdog, _) => Departures::Always,
        (Function::Authorizer | Function::Routes | Function::Pusher, _) => Departures::Never,
    };
    Role { statements, posts_to_stage, takes_departures }
}

/// What Lambda needs to feed a function from queues.
fn take<const N: usize>(sid: &str, queues: [String; N]) -> Statement {
    Statement::allow(sid, ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], queues)
}

fn send<const N: usize>(sid: &str, queues: [String; N]) -> Statement {
    Statement::allow(sid, ["sqs:SendMessage"], queues)
}
