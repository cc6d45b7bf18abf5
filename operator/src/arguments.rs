//! The command line. Every flag has an environment variable.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::desired::Endpoints;
use crate::permissions::principal::Principal;
use crate::stack::subscription::FunctionName;
use crate::sumu_stack::Architecture;
use crate::telemetry::LogFormat;

/// The SUMU operator: live WebSockets on AWS from one Kubernetes object.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch `SumuStack` objects and keep their AWS resources. Of a flag that is given twice the last one counts.
    #[command(args_override_self = true)]
    Run(RunArguments),
    /// Print the custom resource definition.
    Crd,
    /// Print the reference of the custom resource in Markdown.
    Reference,
    /// Pack the functions' executables as the operator uploads them.
    Package(PackageArguments),
    /// Print the IAM policy that the operator needs, or with --stack what a stack needs and its functions get, as JSON;
    /// with --check, whether it has that.
    Iam(IamArguments),
    /// Print what would change in AWS, and change nothing.
    #[command(args_override_self = true)]
    Plan(PlanArguments),
    /// Fail while there are `SumuStack` objects, and name them: before the operator is uninstalled.
    GuardUninstall(GuardArguments),
    /// Ask a running operator whether it is ready, until it is or the time is over.
    Ready(ReadyArguments),
}

/// Settings of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Watch only these namespaces: one, or several with commas between them. All namespaces when absent.
    #[arg(long, visible_alias = "namespace", env = "SUMU_NAMESPACES", value_parser = namespaces)]
    pub namespaces: Option<Namespaces>,

    /// Where stacks are, and what the operator brings along for them.
    #[command(flatten)]
    pub provision: ProvisionArguments,

    /// Seconds between two looks at a settled stack, give or take a tenth.
    #[arg(long, env = "SUMU_RESYNC_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub resync_seconds: u64,

    /// How many stacks are worked on at once.
    #[arg(long, env = "SUMU_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub concurrency: u16,

    /// Where `/metrics`, `/healthz` and `/readyz` are served: an address with a port, or `off`.
    #[arg(long, env = "SUMU_METRICS_ADDRESS", default_value = "0.0.0.0:8080", value_parser = listen_address)]
    pub metrics_address: Listen,

    /// Whether several operators agree on one that works, by a Lease.
    #[arg(long, env = "SUMU_LEADER_ELECTION", value_enum, default_value_t = LeaderElection::Auto)]
    pub leader_election: LeaderElection,

    /// Namespace of the Lease. The operator's own when absent.
    #[arg(long, env = "SUMU_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// Form of the log.
    #[arg(long, env = "SUMU_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,

    /// What is logged, for example `info` or `sumu_operator=debug`, which shows every plan.
    #[arg(long, env = "SUMU_LOG", default_value = "info")]
    pub log: String,
}

/// Where stacks are, and what the operator brings along for them.
#[derive(Debug, Args)]
pub struct ProvisionArguments {
    /// Region of stacks that name none.
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub region: String,

    /// Where all AWS services are reached, instead of AWS's own addresses: an emulator or a proxy.
    #[arg(long, env = "AWS_ENDPOINT_URL")]
    pub aws_endpoint_url: Option<String>,

    /// Whether calls are held below the rates that AWS publishes for an account: on, off for an emulator, or how many
    /// times those rates for an account whose quotas AWS has raised.
    #[arg(long, env = "SUMU_AWS_PACING", default_value = "on", value_parser = pacing)]
    pub aws_pacing: Pacing,

    /// Template of the address at which clients connect.
    #[arg(
        long,
        env = "SUMU_WEBSOCKET_ENDPOINT",
        default_value = "wss://{apiId}.execute-api.{region}.{dnsSuffix}/{stage}"
    )]
    pub websocket_endpoint: String,

    /// Template of the address of API Gateway's management API (`@connections`).
    #[arg(
        long,
        env = "SUMU_MANAGEMENT_ENDPOINT",
        default_value = "https://{apiId}.execute-api.{region}.{dnsSuffix}/{stage}"
    )]
    pub management_endpoint: String,

    /// Folder with the functions' packages: `<architecture>/<function>.zip`.
    #[arg(long, env = "SUMU_FUNCTIONS_DIR", default_value = "/functions")]
    pub functions_dir: PathBuf,
}

/// Settings of `plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// A stack of the cluster that the kubeconfig names.
    #[arg(value_name = "NAMESPACE/NAME", value_parser = full_name, required_unless_present = "filename", conflicts_with = "filename")]
    pub stack: Option<FullName>,

    /// A file with `SumuStack` objects, among others, as YAML or JSON; `-` is the standard input. What the cluster has under
    /// their names is compared with it.
    #[arg(short, long, value_name = "FILE")]
    pub filename: Option<PathBuf>,

    /// What would happen if the object was deleted.
    #[arg(long)]
    pub delete: bool,

    /// Text for people, or JSON for programs.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,

    /// Exit with 2 when not everything is in place, instead of 0.
    #[arg(long)]
    pub detailed_exitcode: bool,

    /// Where stacks are, and what the operator brings along for them: the same as for `run`.
    #[command(flatten)]
    pub provision: ProvisionArguments,
}

/// Settings of `package`.
#[derive(Debug, Args)]
pub struct PackageArguments {
    /// Folder with the executables `authorizer`, `routes`, `pusher` and `watchdog`.
    #[arg(long)]
    pub from: PathBuf,

    /// Folder for the packages, as `--functions-dir` of `run` takes it.
    #[arg(long)]
    pub to: PathBuf,

    /// The processor that the executables are built for.
    #[arg(long, default_value = "x86_64")]
    pub architecture: Architecture,
}

/// Settings of `iam`.
#[derive(Debug, Args)]
pub struct IamArguments {
    /// Print what a stack needs of the operator, and its functions' roles: of one in the cluster, or of those in a file.
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = full_name, num_args = 0..=1)]
    pub stack: Option<Option<FullName>>,

    /// A file with `SumuStack` objects, as `plan` takes it.
    #[arg(short, long, value_name = "FILE", requires = "stack")]
    pub filename: Option<PathBuf>,

    /// What only some stacks need, and the policy has only when it is named.
    #[arg(long, value_enum, conflicts_with = "stack")]
    pub with: Vec<Feature>,

    /// Id of the hosted zone in which alias records of custom domains are made. Any when absent.
    #[arg(long, default_value = "*", requires = "with")]
    pub hosted_zone: String,

    /// A function of yours that stacks name in `spec.messages.consumers`, by name or ARN. May be given several times.
    #[arg(long, value_name = "FUNCTION", conflicts_with = "stack", value_parser = function)]
    pub consumer: Vec<String>,

    /// A function of yours that stacks subscribe to their messages topics, by name or ARN. May be given several times.
    #[arg(long, value_name = "FUNCTION", conflicts_with = "stack", value_parser = function)]
    pub subscriber: Vec<String>,

    /// Where `spec.functions.package.s3` of stacks leads. May be given several times.
    #[arg(long, value_name = "BUCKET/PREFIX", conflicts_with = "stack", value_parser = bucket)]
    pub package: Vec<String>,

    /// Account in which the policy holds. Any when absent; for a stack, the one that it is in.
    #[arg(long, default_value = "*")]
    pub account: String,

    /// Region in which the policy holds. Any when absent; for a stack, the one that it is in.
    #[arg(long, default_value = "*")]
    pub region: String,

    /// Ask IAM's policy simulator whether the rights are there, instead of printing them, and exit with 2 when one is missing.
    /// The account is that of the role or user.
    #[arg(long, conflicts_with_all = ["account", "partition"])]
    pub check: bool,

    /// The role or the user whose rights are checked, by its ARN or that of a session: the stack's role when absent, or whose the credentials are.
    #[arg(long, value_name = "ARN", requires = "check", value_parser = principal)]
    pub principal: Option<Principal>,

    /// Partition of the account.
    #[arg(long, default_value = "aws", value_parser = ["aws", "aws-cn", "aws-us-gov"])]
    pub partition: String,
}

/// What only some stacks need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Feature {
    /// Domain names, and records in a hosted zone.
    CustomDomain,
}

/// In which form something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for people.
    Text,
    /// JSON for programs.
    Json,
}

/// Namespace and name of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn full_name(text: &str) -> Result<FullName, String> {
    let is_name = |name: &str| {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        !name.is_empty() && name.chars().all(is_allowed)
    };
    match text.split_once('/') {
        Some((namespace, name)) if is_name(namespace) && is_name(name) => {
            Ok(FullName { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        _ => Err("a namespace and a name with a slash between them, or a file with --filename".to_owned()),
    }
}

fn principal(text: &str) -> Result<Principal, String> {
    let known = Principal::of_caller(text);
    known.ok_or_else(|| {
        "the ARN of a role or a user: arn:aws:iam::ACCOUNT:role/NAME or arn:aws:iam::ACCOUNT:user/NAME".to_owned()
    })
}

/// What ends in a policy is a function and no pattern.
fn function(text: &str) -> Result<String, String> {
    let name = match text.split_once(":function:") {
        Some((place, name)) if place.starts_with("arn:") && place.split(':').count() == 5 => name,
        Some(_) => "",
        None => text,
    };
    FunctionName::parse(name.trim_end_matches(":$LATEST"))
        .map(|_| text.to_owned())
        .ok_or_else(|| "a function's name or its ARN".to_owned())
}

fn bucket(text: &str) -> Result<String, String> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if bucket.is_empty() || !bucket.chars().all(is_name) || prefix.contains(['*', '?']) {
        return Err("a bucket, and after a slash what the keys begin with".to_owned());
    }
    Ok(format!("{bucket}/{prefix}"))
}

/// Settings of `guard-uninstall`.
#[derive(Debug, Args)]
pub struct GuardArguments {
    /// The namespaces that the operator watches: one, or several with commas between them. All namespaces when absent.
    #[arg(long, visible_alias = "namespace", env = "SUMU_NAMESPACES", value_parser = namespaces)]
    pub namespaces: Option<Namespaces>,

    /// The Helm release that asks, for the command that a refusal ends with.
    #[arg(long, requires_all = ["release_namespace", "revision"])]
    pub release: Option<String>,

    /// The release's namespace.
    #[arg(long, requires = "release")]
    pub release_namespace: Option<String>,

    /// The release's revision.
    #[arg(long, requires = "release")]
    pub revision: Option<u32>,
}

/// Settings of `ready`.
#[derive(Debug, Args)]
pub struct ReadyArguments {
    /// The operator's `--metrics-address` as it is reached from here: a host and a port.
    #[arg(long)]
    pub address: String,

    /// Seconds after which it is given up.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub within_seconds: u64,
}

/// Whether calls are held below AWS's rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pacing {
    /// Below so many times the rates that AWS publishes.
    Times(f64),
    /// They go out at once.
    Off,
}

fn pacing(text: &str) -> Result<Pacing, String> {
    match text {
        "on" => Ok(Pacing::Times(1.0)),
        "off" => Ok(Pacing::Off),
        _ => {
            let times = text.parse().ok().filter(|times| (0.1..=100.0).contains(times));
            times.map(Pacing::Times).ok_or_else(|| "on, off, or a number from 0.1 to 100".to_owned())
        }
    }
}

/// Whether several operators agree on one that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LeaderElection {
    /// In a cluster they do; an operator on a developer's machine works at once.
    Auto,
    /// They do.
    On,
    /// This one works, whoever else does.
    Off,
}

/// Where something is served, if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// There.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

fn listen_address(text: &str) -> Result<Listen, String> {
    match text {
        "off" => Ok(Listen::Off),
        _ => {
            text.parse().map(Listen::At).map_err(|_| "an address with a port, such as 0.0.0.0:8080, or off".to_owned())
        }
    }
}

/// Namespaces, each once and in alphabetical order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaces(BTreeSet<String>);

fn namespaces(text: &str) -> Result<Namespaces, String> {
    let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    // An empty name would be the path of all namespaces.
    if text.split(',').any(|name| name.is_empty() || !name.chars().all(is_label)) {
        return Err("a namespace's name, or several with commas between them".to_owned());
    }
    Ok(Namespaces(text.split(',').map(ToOwned::to_owned).collect()))
}

/// Each once and in alphabetical order; none means all.
fn names(namespaces: Option<&Namespaces>) -> Vec<&str> {
    namespaces.into_iter().flat_map(|namespaces| &namespaces.0).map(String::as_str).collect()
}

impl GuardArguments {
    /// The namespaces to look at, each once and in alphabetical order; none means all.
    #[must_use]
    pub fn watched(&self) -> Vec<&str> {
        names(self.namespaces.as_ref())
    }

    /// What a person has to do after a refusal before the release can be upgraded again.
    #[must_use]
    pub fn way_back(&self) -> Option<String> {
        let Self { release: Some(name), release_namespace: Some(namespace), revision: Some(revision), .. } = self
        else {
            return None;
        };
        Some(format!(
            "Helm calls the release `uninstalling` now and does not upgrade it until you take that back: \
             `helm rollback {name} {revision} --namespace {namespace}`."
        ))
    }
}

impl ReadyArguments {
    /// How long to ask.
    #[must_use]
    pub const fn within(&self) -> Duration {
        Duration::from_secs(self.within_seconds)
    }
}

impl RunArguments {
    /// The namespaces to watch, each once and in alphabetical order; none means all.
    #[must_use]
    pub fn watched(&self) -> Vec<&str> {
        names(self.namespaces.as_ref())
    }

    /// Time between two looks at a settled stack.
    #[must_use]
    pub const fn resync(&self) -> Duration {
        Duration::from_secs(self.resync_seconds)
    }
}

impl ProvisionArguments {
    /// Where API Gateway is reached.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        Endpoints { websocket: self.websocket_endpoint.clone(), management: self.management_endpoint.clone() }
    }
}

impl ValueEnum for Architecture {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::X86_64, Self::Arm64]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.as_str()))
    }
}

#[cfg(test)]
mod tests;
