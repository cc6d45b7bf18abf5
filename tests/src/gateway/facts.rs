//! What rules know: the emulator's own word, asked at the moment, and when what was changed last.
//!
//! Asking keeps the rules right whatever has been lost on the way; only times, which nobody can ask for, are remembered.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_config::{Region, SdkConfig};
use serde_json::Value;

use crate::Result;

/// How long AWS takes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Until Lambda can assume a role that was made.
    pub role: Duration,
    /// Until a role has the rights of a policy that was put.
    pub policy: Duration,
    /// Until a function is made or changed, if the emulator does not take longer.
    pub function: Duration,
    /// Until an event source is enabled, updated or gone.
    pub source: Duration,
    /// Until a table is made, changed or gone.
    pub table: Duration,
    /// Until the name of a deleted queue is free again.
    pub queue_name: Duration,
    /// Until the time to live of a table can be changed again.
    pub time_to_live: Duration,
    /// Until a domain name is made or has another certificate.
    pub domain: Duration,
    /// How many items of a list come at once.
    pub page: usize,
    /// How many times AWS's own rates the control planes take; any rate when absent.
    pub rate: Option<f64>,
}

impl Pace {
    /// As measured at AWS.
    pub const AWS: Self = Self {
        role: Duration::from_secs(10),
        policy: Duration::from_secs(10),
        function: Duration::from_secs(3),
        source: Duration::from_secs(10),
        table: Duration::from_secs(5),
        queue_name: Duration::from_mins(1),
        time_to_live: Duration::from_hours(1),
        domain: Duration::from_mins(2),
        page: 25,
        rate: Some(1.0),
    };
    /// Long enough to be met, short enough for tests that make many stacks.
    pub const QUICK: Self = Self {
        role: Duration::from_secs(1),
        policy: Duration::from_secs(1),
        function: Duration::ZERO,
        source: Duration::from_millis(700),
        table: Duration::from_millis(700),
        queue_name: Duration::from_secs(3),
        time_to_live: Duration::from_secs(1),
        domain: Duration::from_millis(700),
        page: 25,
        rate: None,
    };
}

/// What something goes through, and until when.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub(super) state: &'static str,
    pub(super) until: Instant,
    /// How it was described last.
    pub(super) last: Value,
}

/// The last change of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) is_creation: bool,
    pub(super) at: Instant,
}

/// An action and the ARN of what it is done with.
pub(super) type Right = (String, String);

/// What the policies of a role said when they were asked for.
#[derive(Clone, Debug)]
pub(super) struct Policies {
    pub(super) at: Instant,
    pub(super) has_managed: bool,
    /// By their names.
    pub(super) inline: Vec<(String, Value)>,
}

/// A policy that was put.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub(super) at: Instant,
    pub(super) document: Value,
    /// What was in force in its place.
    pub(super) before: Value,
}

/// What cannot be asked for.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// When roles were made, by name.
    pub(super) roles_made: HashMap<String, Instant>,
    /// The policies that were put, by their roles' names and their own.
    pub(super) policies_put: HashMap<(String, String), Put>,
    /// What the policies of functions' roles said a moment ago, by the roles' names.
    pub(super) policies: HashMap<String, Arc<Policies>>,
    /// The rights that functions have used and those that they lacked, by their roles' names.
    pub(super) used: BTreeMap<String, BTreeSet<Right>>,
    pub(super) lacked: BTreeMap<String, BTreeSet<Right>>,
    pub(super) functions: HashMap<String, Change>,
    pub(super) sources: HashMap<String, Passage>,
    pub(super) tables: HashMap<String, Passage>,
    /// When the time to live of tables was changed, by name.
    pub(super) lives_changed: HashMap<String, Instant>,
    pub(super) queues_deleted: HashMap<String, Instant>,
    /// When domain names were made or had their certificates changed.
    pub(super) domains: HashMap<String, Instant>,
    /// APIs whose tags were changed after they were made.
    pub(super) apis_tagged: HashSet<String>,
    /// The policies of callers, by access key, and the actions that these have needed so far.
    pub(super) callers: HashMap<String, (Value, BTreeSet<String>)>,
    /// The calls that may still be made at once, by what they are counted for.
    pub(super) buckets: HashMap<&'static str, Bucket>,
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn full(burst: f64) -> Self {
        Self { left: burst, at: Instant::now() }
    }

    /// Takes a call out of it, unless it is empty. So many come back each second, up to `burst`.
    pub(super) fn take(&mut self, per_second: f64, burst: f64) -> bool {
        let now = Instant::now();
        self.left = burst.min(per_second.mul_add(now.duration_since(self.at).as_secs_f64(), self.left));
        self.at = now;
        let is_taken = self.left >= 1.0;
        if is_taken {
            self.left -= 1.0;
        }
        is_taken
    }
}

/// What rules know of a region.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) pace: Pace,
    pub(super) region: String,
    pub(super) gateway: aws_sdk_apigatewayv2::Client,
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) lambda: aws_sdk_lambda::Client,
    pub(super) route53: aws_sdk_route53::Client,
    pub(super) sns: aws_sdk_sns::Client,
    pub(super) sqs: aws_sdk_sqs::Client,
    http: reqwest::Client,
    emulator: String,
    sdk: SdkConfig,
    /// One for all regions: what is remembered by name is never in two.
    memory: Arc<Mutex<Memory>>,
    /// Whose turn it is to ask for a role's policies.
    pub(super) looking_at_roles: tokio::sync::Mutex<()>,
}

impl Facts {
    pub(super) fn new(pace: Pace, emulator: &SdkConfig) -> Self {
        Self {
            pace,
            region: emulator.region().map(ToString::to_string).unwrap_or_default(),
            gateway: aws_sdk_apigatewayv2::Client::new(emulator),
            dynamodb: aws_sdk_dynamodb::Client::new(emulator),
            iam: aws_sdk_iam::Client::new(emulator),
            lambda: aws_sdk_lambda::Client::new(emulator),
            route53: aws_sdk_route53::Client::new(emulator),
            sns: aws_sdk_sns::Client::new(emulator),
            sqs: aws_sdk_sqs::Client::new(emulator),
            http: reqwest::Client::new(),
            emulator: emulator.endpoint_url().unwrap_or_default().to_owned(),
            sdk: emulator.clone(),
            memory: Arc::default(),
            looking_at_roles: tokio::sync::Mutex::default(),
        }
    }

    /// The same of another region. IAM and Route 53 have none.
    pub(super) fn of_region(&self, region: &str) -> Self {
        let sdk = self.sdk.to_builder().region(Region::new(region.to_owned())).build();
        let (iam, route53, memory) = (self.iam.clone(), self.route53.clone(), Arc::clone(&self.memory));
        Self { iam, route53, memory, ..Self::new(self.pace, &sdk) }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object in a bucket; nothing when it is not there.
    pub(super) async fn object(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let answer = self.http.get(format!("{}/{bucket}/{key}", self.emulator)).send().await?;
        Ok(if answer.status().is_success() { Some(answer.bytes().await?.into()) } else { None })
    }

    /// Lets a caller do what a policy allows.
    pub(super) fn limit(&self, caller: &str, policy: Value) {
        self.memory().callers.entry(caller.to_owned()).or_default().0 = policy;
    }

    /// The actions that a limited caller has needed.
    pub(super) fn needed(&self, caller: &str) -> BTreeSet<String> {
        self.memory().callers.get(caller).map(|(_, used)| used.clone()).unwrap_or_default()
    }

    /// The rights that functions have used of a role's.
    pub(super) fn used(&self, role: &str) -> BTreeSet<Right> {
        self.memory().used.get(role).cloned().unwrap_or_default()
    }

    /// Whether API Gateway has a role with which it writes logs, which is a setting of the whole account.
    pub(super) async fn has_log_role(&self) -> Result<bool> {
        // API Gateway's first API, of which this is all that is needed. The emulator reads the scope, and no signature.
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{}/apigateway/aws4_request", self.region);
        let request = self.http.get(format!("{}/account", self.emulator)).header("authorization", scope);
        let account: Value = serde_json::from_str(&request.send().await?.text().await?)?;
        Ok(account["cloudwatchRoleArn"].as_str().is_some_and(|role| !role.is_empty()))
    }

    /// The state of a certificate; nothing when there is none with that ARN.
    pub(super) async fn certificate(&self, arn: &str) -> Result<Option<String>> {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{}/acm/aws4_request", self.region);
        let request = reqwest::Client::new()
            .post(&self.emulator)
            .header("authorization", scope)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "CertificateManager.DescribeCertificate")
            .body(serde_json::json!({ "CertificateArn": arn }).to_string());
        let answer: Value = serde_json::from_str(&request.send().await?.text().await?)?;
        Ok(answer["Certificate"]["Status"].as_str().map(ToOwned::to_owned))
    }

    /// Whether a domain name is still on its way to what was asked for.
    pub(super) fn is_domain_busy(&self, name: &str) -> bool {
        self.memory().domains.get(name).is_some_and(|at| at.elapsed() < self.pace.domain)
    }

    /// The last change of a function, and whether it is still on its way.
    pub(super) fn function(&self, name: &str) -> Option<(Change, bool)> {
        let change = self.memory().functions.get(name).copied()?;
        Some((change, change.at.elapsed() < self.pace.function))
    }

    /// What an event source goes through at the moment.
    pub(super) fn source(&self, uuid: &str) -> Option<Passage> {
        current(&self.memory().sources, uuid)
    }

    /// What a table goes through at the moment.
    pub(super) fn table(&self, name: &str) -> Option<Passage> {
        current(&self.memory().tables, name)
    }
}

fn current(passages: &HashMap<String, Passage>, key: &str) -> Option<Passage> {
    passages.get(key).filter(|passage| Instant::now() < passage.until).cloned()
}

/// The last member of an ARN, a URL or a path.
pub(super) fn last(text: &str) -> &str {
    text.rsplit([':', '/']).next().unwrap_or_default()
}
