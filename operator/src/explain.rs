//! What the operator would do, told before it does it: `sumu-operator plan` and `sumu-operator iam`.
//!
//! # Flow of `plan`
//! 1. Find the stacks: in a file or in the cluster (`subject`). What the API server would refuse ends here.
//! 2. Look at AWS and plan, exactly as a pass does ([`crate::converge::look`]), without a call that changes something.
//! 3. Rehearse what would follow ([`crate::plan::rehearsal`]), and tell both ([`preview`]).
//!
//! # Guarantees
//! - Nothing is changed, neither in AWS nor in Kubernetes: objects are only read, and sent with a dry run.
//! - What was not checked is told.

pub mod check;
mod cluster;
pub mod manifest;
pub mod preview;
pub mod roles;
mod subject;

use std::io;

use serde::Serialize;

use crate::arguments::{Feature, IamArguments, Output, Pacing, PlanArguments};
use crate::cloud::aws::{Aws, Base, SIMULATION};
use crate::cloud::{CloudError, Kind};
use crate::converge::{Pass, look};
use crate::desired::policy::Document;
use crate::desired::{Desired, Endpoints, Provision};
use crate::packages::Packages;
use crate::permissions::{self, Needs, Place};
use crate::plan::plan as plan_again;
use crate::stack::name::{Account, Names, Owner};
use crate::stack::{Invalid, Location, StackSpec, is_held};
use crate::status::adoption::mistaken;
use crate::status::moved;
use crate::sumu_stack::SumuStack;
use cluster::Cluster;
use preview::{Preview, all_as_text};
use subject::Subject;

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {file}")]
    File {
        /// Its name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It is no manifest.
    #[error("{file}: {problem}")]
    Manifest {
        /// Its name.
        file: String,
        /// What is wrong with it, with the remedy.
        problem: manifest::Problem,
    },
    /// There is no stack to speak of.
    #[error("there is no SumuStack in {file}: a stack has apiVersion sumu.live/v1alpha1 and kind SumuStack")]
    NoStack {
        /// The name of the file.
        file: String,
    },
    /// Nothing says of which stack.
    #[error("--stack takes NAMESPACE/NAME, or stands without it beside --filename FILE")]
    NoSubject,
    /// The cluster has no such object.
    #[error(
        "the cluster has no SumuStack {0}: `kubectl get sumu --all-namespaces` lists those that it has, and --filename takes one that it does not have yet"
    )]
    NotFound(String),
    /// The API server cannot be asked.
    #[error("the API server cannot be asked for {stack}: {reason}; --filename takes a file instead")]
    Kubernetes {
        /// The stack.
        stack: String,
        /// Why.
        reason: String,
    },
    /// The API server would not admit the object.
    #[error("the API server refuses {stack}: {reason}")]
    Refused {
        /// The stack.
        stack: String,
        /// Its words.
        reason: String,
    },
    /// The operator would refuse the object.
    #[error("the operator refuses {stack}: {invalid}")]
    Invalid {
        /// The stack.
        stack: String,
        /// Its words.
        invalid: Invalid,
    },
    /// AWS cannot be looked at.
    #[error("AWS cannot be looked at for {stack}: {error}")]
    Cloud {
        /// The stack.
        stack: String,
        /// Why.
        error: Box<CloudError>,
    },
    /// IAM does not say who may do what.
    #[error(
        "IAM cannot be asked what {whose} may do: {error}{}",
        if error.kind == Kind::Denied && error.operation == SIMULATION { "; whoever asks needs iam:SimulatePrincipalPolicy on that role or user, and iam:GetRole on a role with a path that --principal does not name" } else { "" }
    )]
    Unjudged {
        /// Whose rights were asked for.
        whose: String,
        /// Why.
        error: Box<CloudError>,
    },
    /// The credentials are nobody's whom IAM's policy simulator knows.
    #[error("the credentials are those of no role and no user: name the operator's role with --principal")]
    NoPrincipal,
    /// The functions' packages cannot be read.
    #[error("cannot read the functions' packages in {folder}")]
    Packages {
        /// The folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
}

/// What is printed, and whether it says that everything is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The text, or the JSON.
    pub text: String,
    /// Whether nothing would be done and nothing is waited for.
    pub is_settled: bool,
}

/// What a stack needs of the operator, or of the role that it assumes, and what its functions' roles may do.
#[derive(Serialize)]
struct Rights {
    #[serde(flatten)]
    roles: roles::Roles,
    operator: Document,
}

/// What is told of stacks, in JSON.
#[derive(Serialize)]
struct All<T> {
    stacks: Vec<T>,
    /// What their file has beside them.
    skipped: Vec<String>,
}

/// Tells what would change in AWS for the stacks that the arguments name.
///
/// # Errors
/// When a stack cannot be found, would be refused, or AWS cannot be looked at.
pub async fn plan(arguments: &PlanArguments) -> Result<Told, Error> {
    let cluster = connect().await;
    let found = subject::find(&cluster, arguments.stack.as_ref(), arguments.filename.as_deref()).await?;
    let folder = &arguments.provision.functions_dir;
    let packages =
        Packages::load(folder).map_err(|source| Error::Packages { folder: folder.display().to_string(), source })?;
    let mut stacks = Vec::new();
    for subject in found.subjects {
        stacks.push(Box::pin(preview_of(subject, arguments, &packages)).await?);
    }
    let is_settled = stacks.iter().all(|stack| stack.is_settled);
    let text = match arguments.output {
        Output::Text => all_as_text(&stacks, &found.skipped),
        Output::Json => as_json(&All { stacks, skipped: found.skipped }),
    };
    Ok(Told { text, is_settled })
}

/// The policy of the operator's own role that the arguments ask for.
#[must_use]
pub fn operator_policy(arguments: &IamArguments) -> Document {
    let IamArguments { partition, region, account, .. } = arguments;
    let place = Place { partition: partition.clone(), region: region.clone(), account: account.clone() };
    permissions::policy(&place, &needs_of_all(arguments))
}

/// What stacks need that the arguments describe.
fn needs_of_all(arguments: &IamArguments) -> Needs {
    let domain_names = arguments.with.contains(&Feature::CustomDomain);
    Needs {
        domain_names,
        hosted_zones: domain_names.then(|| arguments.hosted_zone.clone()).into_iter().collect(),
        consumers: arguments.consumer.clone(),
        subscribers: arguments.subscriber.clone(),
        packages: arguments.package.clone(),
    }
}

/// Tells what stacks need of the operator and what the roles of their functions may do, as JSON.
///
/// # Errors
/// When a stack cannot be found or would be refused.
pub async fn roles(arguments: &IamArguments) -> Result<Told, Error> {
    let cluster = connect().await;
    let name = arguments.stack.as_ref().and_then(Option::as_ref);
    let found = subject::find(&cluster, name, arguments.filename.as_deref()).await?;
    let mut stacks = Vec::new();
    for subject in found.subjects {
        stacks.push(Box::pin(roles_of(subject, arguments)).await?);
    }
    Ok(Told { text: as_json(&All { stacks, skipped: found.skipped }), is_settled: true })
}

async fn connect() -> Result<Cluster, String> {
    // Several TLS providers may be compiled in; this one is ours. An error means that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Cluster::connect().await
}

fn as_json(value: &impl Serialize) -> String {
    // What is told has texts, numbers and booleans only, so that it is always JSON.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

async fn preview_of(subject: Subject, arguments: &PlanArguments, packages: &Packages) -> Result<Preview, Error> {
    let Subject { stack, is_new, mut notes } = subject;
    let name = subject::full_name(&stack);
    let invalid = |invalid| Error::Invalid { stack: name.clone(), invalid };
    let unseen = |error| Error::Cloud { stack: name.clone(), error: Box::new(error) };
    let is_deleted = arguments.delete || stack.metadata.deletion_timestamp.is_some();
    let aws = &arguments.provision;
    let owner = Owner::of(&stack).map_err(invalid)?;
    let location = Location::of(&stack.spec.aws, &aws.region);
    // Before AWS is asked: a field that is wrong is told without credentials too.
    let spec = if is_deleted { None } else { Some(StackSpec::of(&stack, &aws.region).map_err(invalid)?) };
    let base = Base::load(&aws.region, aws.aws_endpoint_url.as_deref()).await;
    let cloud = Aws::connect(&base, &location, aws.aws_pacing).await.map_err(unseen)?;
    if let Some(moved) = moved(&stack, cloud.account()) {
        return Err(invalid(moved));
    }
    let names = Names::of(&owner, cloud.account().clone());
    let is_code_known = !packages.is_empty() || spec.as_ref().is_some_and(|spec| spec.code.is_some());
    let mut desired = match &spec {
        None => Desired::of_deleted(&stack, owner, names),
        Some(spec) => {
            let packages = if packages.is_empty() { Packages::unknown() } else { packages.clone() };
            let provision = Provision { packages, endpoints: aws.endpoints() };
            Desired::of(spec, names, &provision).map_err(invalid)?
        }
    };
    let mut pass = Box::pin(look(&cloud, &desired)).await.map_err(unseen)?;
    if let Some(spec) = &spec {
        // As the operator asks it before an object has what it adopts.
        let is_asked = stack.spec.adoption.is_some() && !is_held(&stack);
        let mistaken = is_asked.then(|| mistaken(&spec.owner, &desired.names, &pass.observed)).flatten();
        if let Some(mistaken) = mistaken {
            return Err(invalid(mistaken));
        }
        if !is_code_known {
            leave_code_as_it_is(&mut desired, &mut pass);
            notes.push(format!(
                "the functions' code was not compared, because there are no packages in {}: --functions-dir names the \
                 operator's own",
                aws.functions_dir.display()
            ));
        }
        if stack.spec.suspend {
            notes.push("spec.suspend is true: the operator makes no change before it is false".into());
        }
    }
    Ok(Preview::of(&stack, is_new, &desired, &pass, notes))
}

/// What the functions run is taken for what they should run.
fn leave_code_as_it_is(desired: &mut Desired, pass: &mut Pass) {
    for (function, config) in &mut desired.functions {
        if let Some(found) = pass.observed.functions.get(function) {
            config.package.code_sha256.clone_from(&found.code_sha256);
        }
    }
    pass.plan = plan_again(desired, &pass.observed);
}

async fn roles_of(subject: Subject, arguments: &IamArguments) -> Result<Rights, Error> {
    let Subject { stack, is_new, mut notes } = subject;
    let invalid = |invalid| Error::Invalid { stack: subject::full_name(&stack), invalid };
    let account = account_of(&stack, arguments, &mut notes).await;
    let mut spec = StackSpec::of(&stack, &account.region).map_err(invalid)?;
    let operator = permissions::policy(&Place::of(&account), &Needs::of(&spec, &account));
    if let Some(role) = &spec.location.role {
        let arn = &role.arn;
        notes.push(format!("operator is the policy of {arn}; the operator itself needs sts:AssumeRole on that role"));
    }
    // No function's role depends on these, and they cannot be judged where the account is not known.
    spec.custom_domain = None;
    spec.consumers.clear();
    let names = Names::of(&spec.owner, account);
    let endpoints = Endpoints { websocket: String::new(), management: String::new() };
    let provision = Provision { packages: Packages::unknown(), endpoints };
    let desired = Desired::of(&spec, names, &provision).map_err(invalid)?;
    let api_id = stack.status.as_ref().and_then(|status| status.api_id.as_deref());
    // What is adopted has its names already.
    let is_new = is_new && stack.spec.adoption.is_none();
    Ok(Rights { roles: roles::Roles::of(&desired, api_id, is_new, notes), operator })
}

/// The region of what must be in the stack's own, if the spec names anything of that kind.
fn region_of_what_is_named(stack: &SumuStack) -> Option<String> {
    let consumers = stack.spec.messages.consumers.iter().map(|consumer| &consumer.function_arn);
    let domain = stack.spec.gateway.custom_domain.as_ref();
    let mut named = consumers.chain(domain.and_then(|domain| domain.certificate_arn.as_ref()));
    named.next()?.split(':').nth(3).map(ToOwned::to_owned)
}

/// The stack's region, if anything of it tells.
fn region_of(stack: &SumuStack) -> Option<String> {
    let home = stack.status.as_ref().and_then(|status| status.aws.as_ref());
    let region = stack.spec.aws.region.clone().or_else(|| home.map(|home| home.region.clone()));
    region.or_else(|| region_of_what_is_named(stack))
}

/// Where the stack is: as the arguments say, as its status says, or as AWS says of the credentials. `*` where none does.
async fn account_of(stack: &SumuStack, arguments: &IamArguments, notes: &mut Vec<String>) -> Account {
    const ANY: &str = "*";
    let home = stack.status.as_ref().and_then(|status| status.aws.as_ref());
    let given = |argument: &str| Some(argument.to_owned()).filter(|argument| argument != ANY);
    let region = given(&arguments.region).or_else(|| region_of(stack)).unwrap_or_else(|| ANY.to_owned());
    let of_role = |arn: &String| arn.split(':').nth(4).map(ToOwned::to_owned);
    let known = given(&arguments.account)
        .or_else(|| home.map(|home| home.account_id.clone()))
        .or_else(|| stack.spec.aws.role_arn.as_ref().and_then(of_role));
    if let Some(id) = known {
        return Account { partition: arguments.partition.clone(), region, id };
    }
    // STS is everywhere, and says the same everywhere.
    let asked = Location { region: if region == ANY { "us-east-1".to_owned() } else { region.clone() }, role: None };
    match Aws::connect(&Base::load(&asked.region, None).await, &asked, Pacing::Off).await {
        Ok(cloud) => Account { region, ..cloud.account().clone() },
        Err(error) => {
            notes.push(format!("the account is not known, so * stands for it: name it with --account ({error})"));
            Account { partition: arguments.partition.clone(), region, id: ANY.to_owned() }
        }
    }
}
