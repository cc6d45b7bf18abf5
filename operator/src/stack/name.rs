//! Names, ARNs and ownership tags of everything a stack owns in AWS. Pure.
//!
//! Every name follows from the owner's namespace, name and UID, so that a crash between a create and anything
//! that records it loses nothing: the next look asks for the same name again.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};
use sumu_contract::Function;

/// What every AWS resource of ours is named after. Also the prefix for IAM policies of the operator.
pub const PREFIX: &str = "sumu";
/// Tag with the UID of the `SumuStack` that owns a resource. Ownership is this tag and nothing else.
pub const OWNER_TAG: &str = "sumu.live/owner";
/// Tag with `namespace/name` of the owner, for people.
pub const STACK_TAG: &str = "sumu.live/stack";

/// IAM and Lambda allow 64 characters; the longest part that is added to a prefix is `-authorizer`.
const PREFIX_LENGTH_MAX: usize = 64 - "-authorizer".len();
const HASH_LENGTH: usize = 8;
/// The limit of every service that we tag.
const TAG_VALUE_LENGTH_MAX: usize = 256;

/// Tags as AWS keeps them.
pub type Tags = BTreeMap<String, String>;

/// Whose stack it is: the object that it was made for. That may be gone, and another object may have adopted the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// That object's UID. A deleted and newly made object of the same name is another owner.
    pub uid: String,
    /// That object's namespace.
    pub namespace: String,
    /// That object's name.
    pub name: String,
}

impl Owner {
    /// The tags that say so.
    #[must_use]
    pub fn tags(&self) -> Tags {
        let mut full_name = format!("{}/{}", self.namespace, self.name);
        // Kubernetes names are ASCII, so this cuts no character in two.
        full_name.truncate(TAG_VALUE_LENGTH_MAX);
        Tags::from([(OWNER_TAG.into(), self.uid.clone()), (STACK_TAG.into(), full_name)])
    }

    /// Whether a resource with these tags is this owner's.
    #[must_use]
    pub fn owns(&self, tags: &Tags) -> bool {
        tags.get(OWNER_TAG) == Some(&self.uid)
    }
}

/// The AWS account and region that a stack lives in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// For example `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub id: String,
}

/// The two tables of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableId {
    /// One row for each open connection.
    Connections,
    /// One item for each user.
    Presence,
}

/// The queues of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueId {
    /// Backends ask here for a push.
    Notifications,
    /// Requests that cannot be served.
    NotificationsDeadLetters,
    /// What clients send.
    Messages,
    /// What no backend could take.
    MessagesDeadLetters,
    /// The pusher's own work: pages of broadcasts and retries. Not for backends.
    Pushes,
    /// The pusher's work that came to nothing.
    PushesDeadLetters,
    /// Who may be gone, until the grace period is over. Only with a grace period.
    Departures,
    /// What the watchdog could not work off, of the stream and of departures.
    PresenceDeadLetters,
    /// What SNS could not deliver to the users' subscriptions. Only with subscriptions.
    SubscriptionsDeadLetters,
}

/// The topics of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicId {
    /// Backends ask here for a push.
    Notifications,
    /// What clients publish.
    Messages,
}

/// The log groups of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogGroupId {
    /// What a function writes.
    Function(Function),
    /// What API Gateway writes of each request to the stage. Only with access logs.
    AccessLogs,
}

/// The event sources of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceId {
    /// The notifications queue feeds the pusher.
    Notifications,
    /// The pushes queue feeds the pusher with its own work.
    Pushes,
    /// The connections table's stream feeds the watchdog.
    Connections,
    /// The departures queue feeds the watchdog. Only with a grace period.
    Departures,
}

macro_rules! words {
    ($type:ty { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

words!(TableId { Connections => "connections", Presence => "presence" });
words!(QueueId {
    Notifications => "notifications",
    NotificationsDeadLetters => "notifications-dead-letters",
    Messages => "messages",
    MessagesDeadLetters => "messages-dead-letters",
    Pushes => "pushes",
    PushesDeadLetters => "pushes-dead-letters",
    Departures => "departures",
    PresenceDeadLetters => "presence-dead-letters",
    SubscriptionsDeadLetters => "subscriptions-dead-letters",
});
words!(TopicId { Notifications => "notifications", Messages => "messages" });
words!(SourceId {
    Notifications => "notifications queue to pusher",
    Pushes => "pushes queue to pusher",
    Connections => "connections stream to watchdog",
    Departures => "departures queue to watchdog",
});

impl LogGroupId {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Function::ALL.into_iter().map(Self::Function).chain([Self::AccessLogs])
    }
}

impl fmt::Display for LogGroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(function) => function.fmt(f),
            Self::AccessLogs => f.write_str("access-logs"),
        }
    }
}

impl SourceId {
    /// The function that is fed.
    #[must_use]
    pub const fn function(self) -> Function {
        match self {
            Self::Notifications | Self::Pushes => Function::Pusher,
            Self::Connections | Self::Departures => Function::Watchdog,
        }
    }

    /// The queue that is read, if it is one.
    #[must_use]
    pub const fn queue(self) -> Option<QueueId> {
        match self {
            Self::Notifications => Some(QueueId::Notifications),
            Self::Pushes => Some(QueueId::Pushes),
            Self::Departures => Some(QueueId::Departures),
            Self::Connections => None,
        }
    }
}

/// The names and ARNs of one stack's resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: String,
    account: Account,
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Names {
    /// The names for an owner in an account.
    #[must_use]
    pub fn of(owner: &Owner, account: Account) -> Self {
        let readable = format!("{PREFIX}-{}-{}", owner.namespace, owner.name);
        // Kubernetes names may have dots; no AWS name here may.
        let readable: String = readable.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let readable = &readable[..readable.len().min(PREFIX_LENGTH_MAX - HASH_LENGTH - 1)];
        let hash = hex(&Sha256::digest(&owner.uid)[..HASH_LENGTH / 2]);
        Self { prefix: format!("{}-{hash}", readable.trim_end_matches('-')), account }
    }

    /// What all names of the stack begin with; also the name of its API.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The account and region of all ARNs.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// A table's name.
    #[must_use]
    pub fn table(&self, id: TableId) -> String {
        format!("{}-{id}", self.prefix)
    }

    /// A queue's name.
    #[must_use]
    pub fn queue(&self, id: QueueId) -> String {
        format!("{}-{id}", self.prefix)
    }

    /// A topic's name.
    #[must_use]
    pub fn topic(&self, id: TopicId) -> String {
        format!("{}-{id}", self.prefix)
    }

    /// The name of a function and of its role.
    #[must_use]
    pub fn function(&self, function: Function) -> String {
        format!("{}-{function}", self.prefix)
    }

    /// What the names of log groups begin with: those of the functions, and that of access logs.
    #[must_use]
    pub fn log_group_prefixes(&self) -> [String; 2] {
        [format!("/aws/lambda/{}-", self.prefix), self.log_group(LogGroupId::AccessLogs)]
    }

    /// The name of a log group. A function's is the one that Lambda writes to by itself.
    #[must_use]
    pub fn log_group(&self, id: LogGroupId) -> String {
        match id {
            LogGroupId::Function(function) => format!("/aws/lambda/{}", self.function(function)),
            LogGroupId::AccessLogs => format!("/aws/apigateway/{}", self.prefix),
        }
    }

    /// A table's ARN.
    #[must_use]
    pub fn table_arn(&self, id: TableId) -> String {
        self.arn("dynamodb", &format!("table/{}", self.table(id)))
    }

    /// A queue's ARN.
    #[must_use]
    pub fn queue_arn(&self, id: QueueId) -> String {
        self.arn("sqs", &self.queue(id))
    }

    /// A topic's ARN.
    #[must_use]
    pub fn topic_arn(&self, id: TopicId) -> String {
        self.arn("sns", &self.topic(id))
    }

    /// A function's ARN.
    #[must_use]
    pub fn function_arn(&self, function: Function) -> String {
        self.arn("lambda", &format!("function:{}", self.function(function)))
    }

    /// The ARN of a function's role.
    #[must_use]
    pub fn role_arn(&self, function: Function) -> String {
        let Account { partition, id, .. } = &self.account;
        format!("arn:{partition}:iam::{id}:role/{}", self.function(function))
    }

    /// The ARN of a log group, without the `:*` that some AWS calls add.
    #[must_use]
    pub fn log_group_arn(&self, id: LogGroupId) -> String {
        self.arn("logs", &format!("log-group:{}", self.log_group(id)))
    }

    /// The ARN of an API as its tags and permissions in IAM name it.
    #[must_use]
    pub fn api_arn(&self, api_id: &str) -> String {
        let Account { partition, region, .. } = &self.account;
        format!("arn:{partition}:apigateway:{region}::/apis/{api_id}")
    }

    /// The ARN of a domain name of API Gateway, as its tags name it.
    #[must_use]
    pub fn domain_arn(&self, domain: &str) -> String {
        let Account { partition, region, .. } = &self.account;
        format!("arn:{partition}:apigateway:{region}::/domainnames/{domain}")
    }

    /// The ARN of an API's stage as its tags name it.
    #[must_use]
    pub fn stage_arn(&self, api_id: &str, stage: &str) -> String {
        format!("{}/stages/{stage}", self.api_arn(api_id))
    }

    /// The id of the statement that lets a topic of this stack invoke a user's function. Another stack's is another one.
    #[must_use]
    pub fn statement_id(&self, id: TopicId) -> String {
        format!("{}-{id}", self.prefix)
    }

    /// The ARN of an event source.
    #[must_use]
    pub fn source_arn(&self, uuid: &str) -> String {
        self.arn("lambda", &format!("event-source-mapping:{uuid}"))
    }

    /// The ARN of what clients and backends do with an API: `path` is for example `*` or `live/POST/@connections/*`.
    #[must_use]
    pub fn execute_api_arn(&self, api_id: &str, path: &str) -> String {
        self.arn("execute-api", &format!("{api_id}/{path}"))
    }

    /// The integration URI with which API Gateway invokes a function.
    #[must_use]
    pub fn invocation_uri(&self, function: Function) -> String {
        let Account { partition, region, .. } = &self.account;
        format!(
            "arn:{partition}:apigateway:{region}:lambda:path/2015-03-31/functions/{}/invocations",
            self.function_arn(function)
        )
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        let Account { partition, region, id } = &self.account;
        format!("arn:{partition}:{service}:{region}:{id}:{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(namespace: &str, name: &str, uid: &str) -> Names {
        let owner = Owner { uid: uid.into(), namespace: namespace.into(), name: name.into() };
        Names::of(&owner, Account { partition: "aws".into(), region: "eu-west-1".into(), id: "123456789012".into() })
    }

    #[test]
    fn names_fit_every_service_whatever_the_object_is_called() {
        let long = names(&"n".repeat(63), &"a.b-".repeat(60), "uid");
        for function in Function::ALL {
            assert!(long.function(function).len() <= 64, "IAM roles and functions have at most 64 characters");
        }
        for queue in QueueId::ALL {
            assert!(long.queue(*queue).len() <= 80, "queues have at most 80 characters");
        }
        assert!(long.prefix().chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    }

    #[test]
    fn tags_fit_the_longest_name() {
        let owner = Owner { uid: "u".into(), namespace: "n".repeat(63), name: "a".repeat(253) };
        assert!(owner.tags().values().all(|value| value.len() <= 256), "AWS refuses longer tag values");
    }

    #[test]
    fn a_new_object_of_the_same_name_has_other_names() {
        assert_ne!(names("apps", "live", "1"), names("apps", "live", "2"));
        assert_eq!(names("apps", "live", "1"), names("apps", "live", "1"));
    }

    #[test]
    fn arns_have_the_documented_forms() {
        let names = names("apps", "live", "1");
        let prefix = names.prefix();
        assert_eq!(
            names.table_arn(TableId::Presence),
            format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{prefix}-presence")
        );
        assert_eq!(names.role_arn(Function::Pusher), format!("arn:aws:iam::123456789012:role/{prefix}-pusher"));
        assert_eq!(names.api_arn("abc"), "arn:aws:apigateway:eu-west-1::/apis/abc");
        assert_eq!(
            names.log_group_arn(LogGroupId::AccessLogs),
            format!("arn:aws:logs:eu-west-1:123456789012:log-group:/aws/apigateway/{prefix}")
        );
    }
}
