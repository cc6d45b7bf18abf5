//! How often AWS's control planes are called: about half of what they take, because others in the account call them too.
//!
//! In no second are there more than AWS takes in one, because how many it takes at once is published for API Gateway alone.
//!
//! AWS's numbers are those of its pages "Endpoints and quotas", of the API references where they name one, and for
//! Route 53 and Lambda of the developer guides' quotas.

use std::time::Duration;

/// How often something may be called in one account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rate {
    /// AWS's name of what is called.
    pub(super) name: &'static str,
    /// The time between two calls in the long run.
    pub(super) every: Duration,
    /// How many may come at once.
    pub(super) burst: u32,
}

impl Rate {
    pub(super) const fn new(name: &'static str, every: Duration, burst: u32) -> Self {
        Self { name, every, burst }
    }

    /// The same, so many times as often.
    pub(super) fn times(self, factor: f64) -> Self {
        Self { every: self.every.div_f64(factor), ..self }
    }

    /// So many a second.
    const fn a_second(name: &'static str, count: u32, burst: u32) -> Self {
        Self::new(name, Duration::from_millis(1_000 / count as u64), burst)
    }

    /// All calls of API Gateway's control plane: AWS takes 10 a second and 40 at once.
    const GATEWAY: Self = Self::a_second("API Gateway", 5, 20);
    /// `CreateDeployment`: AWS takes one in 5 s.
    const DEPLOYMENT: Self = Self::new("CreateDeployment", Duration::from_secs(6), 1);
    /// `DeleteApi`: AWS takes one in 30 s, as of the three about domain names each.
    const API_DELETION: Self = Self::new("DeleteApi", ONE_IN_30_SECONDS, 1);
    const DOMAIN_CREATION: Self = Self::new("CreateDomainName", ONE_IN_30_SECONDS, 1);
    const DOMAIN_UPDATE: Self = Self::new("UpdateDomainName", ONE_IN_30_SECONDS, 1);
    const DOMAIN_DELETION: Self = Self::new("DeleteDomainName", ONE_IN_30_SECONDS, 1);
    /// Lambda's control plane: AWS takes 15 a second.
    const FUNCTIONS: Self = Self::a_second("Lambda", 7, 7);
    /// `GetFunction`: AWS takes 100 a second.
    const GET_FUNCTION: Self = Self::a_second("GetFunction", 50, 50);
    /// AWS takes 2,500 a second of most of DynamoDB's control plane.
    const TABLES: Self = Self::a_second("DynamoDB", 100, 100);
    /// `ListTagsOfResource`: AWS takes 10 a second.
    const TABLE_TAGS: Self = Self::a_second("ListTagsOfResource", 5, 5);
    /// `TagResource` and `UntagResource` of DynamoDB: AWS takes 5 a second of each.
    const TABLE_TAGGING: Self = Self::new("DynamoDB TagResource", Duration::from_millis(400), 2);
    /// `DescribeContinuousBackups`: AWS takes 10 a second.
    const TABLE_BACKUPS: Self = Self::a_second("DescribeContinuousBackups", 5, 5);
    /// AWS publishes no rate for SQS's control plane.
    const QUEUES: Self = Self::a_second("SQS", 50, 100);
    /// Tags of queues: AWS takes 30 calls a second.
    const QUEUE_TAGS: Self = Self::a_second("SQS tags", 15, 14);
    /// AWS takes 30 a second of most of SNS's control plane.
    const TOPICS: Self = Self::a_second("SNS", 15, 14);
    /// Tags of topics: AWS takes 10 calls a second.
    const TOPIC_TAGS: Self = Self::a_second("SNS tags", 5, 5);
    /// AWS publishes no rate for IAM, and takes about 20 a second.
    const ROLES: Self = Self::a_second("IAM", 10, 10);
    /// AWS takes 10 a second of each kind of call about log groups.
    const LOG_CREATION: Self = Self::a_second("CreateLogGroup", 5, 5);
    const LOG_RETENTION: Self = Self::a_second("PutRetentionPolicy", 5, 5);
    const LOG_DELETION: Self = Self::a_second("DeleteLogGroup", 5, 5);
    const LOG_GROUPS: Self = Self::a_second("DescribeLogGroups", 5, 5);
    const LOG_TAGS: Self = Self::a_second("CloudWatch Logs tags", 5, 5);
    /// Route 53: AWS takes 5 a second.
    const ZONES: Self = Self::new("Route 53", Duration::from_millis(400), 2);

    pub(super) const ALL: [Self; 23] = [
        Self::GATEWAY,
        Self::DEPLOYMENT,
        Self::API_DELETION,
        Self::DOMAIN_CREATION,
        Self::DOMAIN_UPDATE,
        Self::DOMAIN_DELETION,
        Self::FUNCTIONS,
        Self::GET_FUNCTION,
        Self::TABLES,
        Self::TABLE_TAGS,
        Self::TABLE_TAGGING,
        Self::TABLE_BACKUPS,
        Self::QUEUES,
        Self::QUEUE_TAGS,
        Self::TOPICS,
        Self::TOPIC_TAGS,
        Self::ROLES,
        Self::LOG_CREATION,
        Self::LOG_RETENTION,
        Self::LOG_DELETION,
        Self::LOG_GROUPS,
        Self::LOG_TAGS,
        Self::ZONES,
    ];
}

/// The calls may take unequal times on their way.
const ONE_IN_30_SECONDS: Duration = Duration::from_secs(32);

/// The rates that a call keeps, one after the other. The slowest is the last: a wait behind it would bring two calls nearer
/// to each other than it lets them.
/// Services and operations are called as the SDK calls them.
pub(super) fn rates(service: &str, operation: &str) -> &'static [Rate] {
    match (service, operation) {
        ("ApiGatewayV2", "CreateDeployment") => &[Rate::GATEWAY, Rate::DEPLOYMENT],
        ("ApiGatewayV2", "DeleteApi") => &[Rate::GATEWAY, Rate::API_DELETION],
        ("ApiGatewayV2", "CreateDomainName") => &[Rate::GATEWAY, Rate::DOMAIN_CREATION],
        ("ApiGatewayV2", "UpdateDomainName") => &[Rate::GATEWAY, Rate::DOMAIN_UPDATE],
        ("ApiGatewayV2", "DeleteDomainName") => &[Rate::GATEWAY, Rate::DOMAIN_DELETION],
        ("ApiGatewayV2", _) => &[Rate::GATEWAY],
        ("Lambda", "GetFunction") => &[Rate::GET_FUNCTION],
        ("Lambda", _) => &[Rate::FUNCTIONS],
        ("DynamoDB", "ListTagsOfResource") => &[Rate::TABLE_TAGS],
        ("DynamoDB", "TagResource" | "UntagResource") => &[Rate::TABLE_TAGGING],
        ("DynamoDB", "DescribeContinuousBackups") => &[Rate::TABLE_BACKUPS],
        // A count of live connections reads the table: it is paid by the table's own throughput.
        ("DynamoDB", "Scan") => &[],
        ("DynamoDB", _) => &[Rate::TABLES],
        ("SQS", "TagQueue" | "UntagQueue" | "ListQueueTags") => &[Rate::QUEUE_TAGS],
        ("SQS", _) => &[Rate::QUEUES],
        ("SNS", "TagResource" | "UntagResource" | "ListTagsForResource") => &[Rate::TOPIC_TAGS],
        ("SNS", _) => &[Rate::TOPICS],
        ("IAM", _) => &[Rate::ROLES],
        ("CloudWatch Logs", "CreateLogGroup") => &[Rate::LOG_CREATION],
        ("CloudWatch Logs", "PutRetentionPolicy") => &[Rate::LOG_RETENTION],
        ("CloudWatch Logs", "DeleteLogGroup") => &[Rate::LOG_DELETION],
        ("CloudWatch Logs", "DescribeLogGroups") => &[Rate::LOG_GROUPS],
        ("CloudWatch Logs", _) => &[Rate::LOG_TAGS],
        ("Route 53", _) => &[Rate::ZONES],
        // STS, which the credentials hold back by themselves.
        _ => &[],
    }
}

/// Whether a service is one for the whole partition, with one rate for all regions.
pub(super) fn is_global(service: &str) -> bool {
    matches!(service, "IAM" | "Route 53")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_is_kept_by_a_call_and_stays_below_what_aws_takes() {
        let calls = [
            ("ApiGatewayV2", "CreateDeployment", 1.0 / 5.0),
            ("ApiGatewayV2", "DeleteApi", 1.0 / 30.0),
            ("ApiGatewayV2", "CreateDomainName", 1.0 / 30.0),
            ("ApiGatewayV2", "UpdateDomainName", 1.0 / 30.0),
            ("ApiGatewayV2", "DeleteDomainName", 1.0 / 30.0),
            ("ApiGatewayV2", "GetApi", 10.0),
            ("Lambda", "GetFunction", 100.0),
            ("Lambda", "CreateFunction", 15.0),
            ("DynamoDB", "ListTagsOfResource", 10.0),
            ("DynamoDB", "TagResource", 5.0),
            ("DynamoDB", "UntagResource", 5.0),
            ("DynamoDB", "DescribeContinuousBackups", 10.0),
            ("DynamoDB", "DescribeTable", 2500.0),
            ("SQS", "ListQueueTags", 30.0),
            ("SQS", "GetQueueUrl", f64::INFINITY),
            ("SNS", "ListTagsForResource", 10.0),
            ("SNS", "CreateTopic", 30.0),
            ("IAM", "GetRole", 20.0),
            ("CloudWatch Logs", "CreateLogGroup", 10.0),
            ("CloudWatch Logs", "PutRetentionPolicy", 10.0),
            ("CloudWatch Logs", "DeleteLogGroup", 10.0),
            ("CloudWatch Logs", "DescribeLogGroups", 10.0),
            ("CloudWatch Logs", "ListTagsForResource", 10.0),
            ("Route 53", "ListResourceRecordSets", 5.0),
        ];
        let mut kept = Vec::new();
        for (service, operation, takes) in calls {
            let rates = rates(service, operation);
            let slowest = rates[rates.len() - 1];
            assert!(rates.iter().all(|rate| rate.every <= slowest.every), "{operation}: {rates:?}");
            let in_a_second = slowest.every.as_secs_f64().recip();
            assert!(in_a_second < takes, "{operation}: AWS takes {takes} a second");
            let at_once = f64::from(slowest.burst);
            // API Gateway takes 40 at once, and what is slower than one a second comes alone.
            let may_burst = service == "ApiGatewayV2" && at_once <= 20.0;
            assert!(may_burst || at_once + in_a_second <= takes, "{operation}: AWS takes {takes} in a second");
            kept.extend(rates);
        }
        for rate in Rate::ALL {
            assert!(kept.contains(&&rate), "no call keeps {rate:?}");
        }
        assert!(kept.iter().all(|rate| Rate::ALL.contains(rate)), "a rate whose waits no metric counts: {kept:?}");
        assert!(rates("STS", "GetCallerIdentity").is_empty());
    }

    #[test]
    fn services_of_the_whole_partition_have_one_rate_for_all_regions() {
        let global = ["ApiGatewayV2", "IAM", "Lambda", "Route 53", "SNS"].map(is_global);
        assert_eq!(global, [false, true, false, true, false]);
    }
}
