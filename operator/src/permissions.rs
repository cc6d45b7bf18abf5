//! The rights that the operator needs in AWS: every call of [`crate::cloud::aws`], on names that begin with `sumu-`.
//! Pure.
//!
//! API Gateway names its APIs itself, so its statements cannot be narrowed by name; the operator touches only what
//! carries its tag `sumu.live/owner`. An end-to-end test lets the operator do what this says and nothing else, and fails
//! for an action that is missing and for one that no stack has needed.

use crate::desired::policy::{Document, Statement};

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
    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    fn role(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:role/{name}", self.partition, self.account)
    }

    fn gateway(&self, path: &str) -> String {
        format!("arn:{}:apigateway:{}::{path}", self.partition, self.region)
    }
}

/// The policy of the operator's role.
#[must_use]
pub fn policy(place: &Place) -> Document {
    Document::of(always(place))
}

/// The same with the rights that stacks with a custom domain need beside. `hosted_zone` is the id of the hosted zone in
/// which alias records are made; `*` stands for any.
#[must_use]
pub fn policy_with_custom_domain(place: &Place, hosted_zone: &str) -> Document {
    Document::of(always(place).chain(custom_domain(place, hosted_zone)))
}

fn always(place: &Place) -> impl Iterator<Item = Statement> {
    storage(place).into_iter().chain(roles(place)).chain(functions(place)).chain(gateway(place))
}

/// Not for everybody: whoever has these can lead a name of the account's elsewhere.
fn custom_domain(place: &Place, hosted_zone: &str) -> Vec<Statement> {
    let names = ["/domainnames", "/domainnames/*"].map(|path| place.gateway(path));
    let actions = ["GET", "POST", "PATCH", "DELETE"].map(|method| format!("apigateway:{method}"));
    vec![
        Statement::allow("DomainNames", actions, names),
        allow(
            "Records",
            "route53",
            "ListResourceRecordSets ChangeResourceRecordSets",
            format!("arn:{}:route53:::hostedzone/{hosted_zone}", place.partition),
        ),
    ]
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
