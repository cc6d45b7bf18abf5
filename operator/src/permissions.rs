//! The rights that the operator needs in AWS: every call of [`crate::cloud::aws`], on names that begin with `sumu-`.
//! Pure.
//!
//! API Gateway names its APIs itself, so its statements cannot be narrowed by name; the operator touches only what
//! carries its tag `sumu.live/owner`. An end-to-end test lets the operator do what this says and nothing else, and fails
//! for an action that is missing and for one that no stack has needed.

pub mod principal;
pub mod simulation;

use crate::desired::policy::{Document, Statement};
use crate::stack::StackSpec;
use crate::stack::name::Account;
use crate::sumu_stack::Protocol;

/// Where the rights hold. `*` stands for any region or account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account's number.
    pub account: String,
}

impl Place {
    /// That of a stack.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        let Account { partition, region, id } = account.clone();
        Self { partition, region, account: id }
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    fn role(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:role/{name}", self.partition, self.account)
    }

    fn gateway(&self, path: &str) -> String {
        format!("arn:{}:apigateway:{}::{path}", self.partition, self.region)
    }

    /// A function with its versions and aliases, by its name or its ARN, with or without one of them.
    fn function(&self, named: &str) -> [String; 2] {
        let arn = match named.split_once(":function:") {
            Some((place, name)) => format!("{place}:function:{}", unqualified(name)),
            None => self.arn("lambda", &format!("function:{}", unqualified(named))),
        };
        let qualified = format!("{arn}:*");
        [arn, qualified]
    }
}

fn unqualified(name: &str) -> &str {
    name.split_once(':').map_or(name, |(name, _)| name)
}

/// What only some stacks need of the operator. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Domain names of the users' own.
    pub domain_names: bool,
    /// Ids of the hosted zones in which alias records are made; `*` stands for any.
    pub hosted_zones: Vec<String>,
    /// The users' functions that messages queues feed, by name or ARN.
    pub consumers: Vec<String>,
    /// The users' functions that are subscribed to messages topics, by name or ARN.
    pub subscribers: Vec<String>,
    /// Where in S3 the functions' packages are: a bucket, and after a slash what their keys begin with.
    pub packages: Vec<String>,
}

impl Needs {
    /// What one stack needs in an account, whose number may be `*`.
    #[must_use]
    pub fn of(spec: &StackSpec, account: &Account) -> Self {
        let is_here = |arn: &&str| {
            let mut parts = arn.split(':').skip(3);
            let is = |known: &str, part: Option<&str>| known == "*" || part == Some(known);
            is(&account.region, parts.next()) && is(&account.id, parts.next())
        };
        let functions = spec.subscriptions.iter().filter(|wanted| wanted.protocol == Protocol::Lambda);
        // Somebody else's function is nothing that the operator could give leave to.
        let subscribers = functions.map(|wanted| wanted.endpoint.as_str()).filter(is_here);
        let domain = spec.custom_domain.as_ref();
        Self {
            domain_names: domain.is_some(),
            hosted_zones: domain.and_then(|domain| domain.hosted_zone_id.clone()).into_iter().collect(),
            consumers: spec.consumers.iter().map(|consumer| consumer.function_arn.clone()).collect(),
            subscribers: subscribers.map(ToOwned::to_owned).collect(),
            packages: spec.code.iter().map(|code| format!("{}/{}", code.bucket, code.prefix)).collect(),
        }
    }
}

/// The policy of the operator's role, for stacks with these needs.
#[must_use]
pub fn policy(place: &Place, needs: &Needs) -> Document {
    let always = storage(place).into_iter().chain(roles(place)).chain(functions(place)).chain(gateway(place));
    Document::of(always.chain(custom_domain(place, needs)).chain(of_users(place, needs)))
}

/// Not for everybody: whoever has these can lead a name of the account's elsewhere.
fn custom_domain(place: &Place, needs: &Needs) -> Vec<Statement> {
    let names = ["/domainnames", "/domainnames/*"].map(|path| place.gateway(path));
    let actions = ["GET", "POST", "PATCH", "DELETE"].map(|method| format!("apigateway:{method}"));
    let zones = needs.hosted_zones.iter().map(|zone| format!("arn:{}:route53:::hostedzone/{zone}", place.partition));
    let names = needs.domain_names.then(|| Statement::allow("DomainNames", actions, names));
    let records = (!needs.hosted_zones.is_empty())
        .then(|| allow_on("Records", "route53", "ListResourceRecordSets ChangeResourceRecordSets", zones));
    names.into_iter().chain(records).collect()
}

/// What is the users' own is named one by one: whoever may write a stack decides what becomes of it.
fn of_users(place: &Place, needs: &Needs) -> Vec<Statement> {
    let functions = |named: &[String]| named.iter().flat_map(|named| place.function(named)).collect::<Vec<_>>();
    let mut statements = Vec::new();
    if !needs.consumers.is_empty() {
        statements.push(
            allow(
                "Consumers",
                "lambda",
                "CreateEventSourceMapping UpdateEventSourceMapping DeleteEventSourceMapping",
                "*".into(),
            )
            .when_any("ArnLike", "lambda:FunctionArn", &functions(&needs.consumers)),
        );
    }
    if !needs.subscribers.is_empty() {
        let named = functions(&needs.subscribers);
        statements.push(allow_on("SubscribedFunctions", "lambda", "GetPolicy AddPermission RemovePermission", named));
    }
    if !needs.packages.is_empty() {
        // Lambda reads them in the operator's name.
        let objects = needs.packages.iter().map(|begins| format!("arn:{}:s3:::{begins}*", place.partition));
        statements.push(allow_on("Packages", "s3", "GetObject", objects));
    }
    statements
}

fn storage(place: &Place) -> Vec<Statement> {
    vec![
        allow(
            "Tables",
            "dynamodb",
            "CreateTable DescribeTable UpdateTable DeleteTable DescribeTimeToLive UpdateTimeToLive \
             DescribeContinuousBackups UpdateContinuousBackups TagResource UntagResource ListTagsOfResource Scan",
            place.arn("dynamodb", "table/sumu-*"),
        ),
        allow(
            "Queues",
            "sqs",
            "CreateQueue GetQueueUrl GetQueueAttributes SetQueueAttributes DeleteQueue TagQueue UntagQueue \
             ListQueueTags",
            place.arn("sqs", "sumu-*"),
        ),
        allow(
            "Topics",
            "sns",
            "CreateTopic DeleteTopic Subscribe ListSubscriptionsByTopic TagResource UntagResource ListTagsForResource",
            place.arn("sns", "sumu-*"),
        ),
        allow("Subscriptions", "sns", "GetSubscriptionAttributes SetSubscriptionAttributes Unsubscribe", "*".into()),
        allow_on(
            "LogGroups",
            "logs",
            "CreateLogGroup DeleteLogGroup PutRetentionPolicy TagResource UntagResource ListTagsForResource",
            ["lambda", "apigateway"].map(|service| place.arn("logs", &format!("log-group:/aws/{service}/sumu-*"))),
        ),
        allow("FindLogGroups", "logs", "DescribeLogGroups", "*".into()),
    ]
}

fn roles(place: &Place) -> Vec<Statement> {
    let first_api = place.role("aws-service-role/ops.apigateway.amazonaws.com/*");
    vec![
        allow(
            "Roles",
            "iam",
            "CreateRole GetRole UpdateAssumeRolePolicy TagRole UntagRole DeleteRole PutRolePolicy \
             GetRolePolicy DeleteRolePolicy",
            place.role("sumu-*"),
        ),
        allow("PassRoles", "iam", "PassRole", place.role("sumu-*")).when(
            "StringEquals",
            "iam:PassedToService",
            "lambda.amazonaws.com",
        ),
        allow("FirstApiOfAnAccount", "iam", "CreateServiceLinkedRole", first_api).when(
            "StringEquals",
            "iam:AWSServiceName",
            "ops.apigateway.amazonaws.com",
        ),
    ]
}

fn functions(place: &Place) -> Vec<Statement> {
    let functions = place.arn("lambda", "function:sumu-*");
    vec![
        allow(
            "Functions",
            "lambda",
            "CreateFunction GetFunction UpdateFunctionCode UpdateFunctionConfiguration DeleteFunction GetPolicy \
             AddPermission RemovePermission TagResource UntagResource ListTags",
            functions.clone(),
        ),
        allow(
            "EventSources",
            "lambda",
            "CreateEventSourceMapping UpdateEventSourceMapping DeleteEventSourceMapping",
            "*".into(),
        )
        .when("ArnLike", "lambda:FunctionArn", functions),
        allow("FindEventSources", "lambda", "ListEventSourceMappings", "*".into()),
        allow(
            "TagEventSources",
            "lambda",
            "TagResource UntagResource ListTags",
            place.arn("lambda", "event-source-mapping:*"),
        ),
    ]
}

fn gateway(place: &Place) -> Vec<Statement> {
    let resources = ["/apis", "/apis/*", "/tags/*"].map(|path| place.gateway(path));
    let actions = ["GET", "POST", "PATCH", "PUT", "DELETE"].map(|method| format!("apigateway:{method}"));
    vec![
        Statement::allow("Apis", actions, resources),
        // Before a stack is let go, the operator looks that no domain name of it is left.
        allow("FindDomainNames", "apigateway", "GET", place.gateway("/domainnames")),
    ]
}

fn allow(sid: &str, prefix: &str, actions: &str, resource: String) -> Statement {
    allow_on(sid, prefix, actions, [resource])
}

/// `actions` are separated by spaces and without their service's prefix.
fn allow_on(sid: &str, prefix: &str, actions: &str, resources: impl IntoIterator<Item = String>) -> Statement {
    let actions = actions.split_whitespace().map(|action| format!("{prefix}:{action}"));
    Statement::allow(sid, actions, resources)
}
