//! `iam --check`: who has the rights that are needed, before an operator finds out call by call.

use super::subject::{self, Subject};
use super::{Error, Told, connect, needs_of_all, region_of};
use crate::arguments::{IamArguments, Pacing};
use crate::cloud::aws::{Aws, Base};
use crate::permissions::principal::Principal;
use crate::permissions::simulation::{Verdict, questions};
use crate::permissions::{self, Needs, Place};
use crate::stack::name::{Account, Names};
use crate::stack::{Location, StackSpec};

/// What names of stacks begin with, where no stack is spoken of.
const PREFIX: &str = "sumu";

/// Where rights are asked for, and for which stack; for all when none is named.
struct Asked {
    region: String,
    spec: Option<StackSpec>,
}

/// Asks IAM's policy simulator whether the rights that the arguments speak of are there.
///
/// # Errors
/// When a stack cannot be found or would be refused, or IAM does not answer.
pub async fn check(arguments: &IamArguments) -> Result<Told, Error> {
    let mut told = Told { text: String::new(), is_settled: true };
    for asked in asked(arguments).await? {
        let verdict = Box::pin(judge(&asked, arguments)).await?;
        let of =
            asked.spec.as_ref().map(|StackSpec { owner, .. }| format!("For {}/{}:\n", owner.namespace, owner.name));
        told.text += &of.unwrap_or_default();
        told.text += &verdict.to_string();
        told.is_settled &= verdict.is_good();
    }
    Ok(told)
}

async fn asked(arguments: &IamArguments) -> Result<Vec<Asked>, Error> {
    let given = Some(&arguments.region).filter(|region| *region != "*");
    let home = std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned());
    if arguments.stack.is_none() {
        let region = given.unwrap_or(&home).clone();
        return Ok(vec![Asked { region, spec: None }]);
    }
    let cluster = connect().await;
    let name = arguments.stack.as_ref().and_then(Option::as_ref);
    let found = subject::find(&cluster, name, arguments.filename.as_deref()).await?;
    let of = |Subject { stack, .. }: Subject| {
        let region = given.cloned().or_else(|| region_of(&stack)).unwrap_or_else(|| home.clone());
        let invalid = |invalid| Error::Invalid { stack: subject::full_name(&stack), invalid };
        let spec = StackSpec::of(&stack, &region).map_err(invalid)?;
        Ok(Asked { region: spec.location.region.clone(), spec: Some(spec) })
    };
    found.subjects.into_iter().map(of).collect()
}

async fn judge(asked: &Asked, arguments: &IamArguments) -> Result<Verdict, Error> {
    let unjudged = |whose: &str| {
        let whose = whose.to_owned();
        move |error| Error::Unjudged { whose, error: Box::new(error) }
    };
    // Whoever asks need not be somebody who may assume the stack's role.
    let here = Location { region: asked.region.clone(), role: None };
    let role = asked.spec.as_ref().and_then(|spec| Principal::parse(&spec.location.role.as_ref()?.arn));
    let named = arguments.principal.clone().or(role);
    let base = Base::load(&here.region, None).await;
    let cloud = Aws::connect(&base, &here, Pacing::Off).await.map_err(unjudged("the credentials"))?;
    let principal = named.as_ref().or(cloud.principal()).ok_or(Error::NoPrincipal)?;
    let [partition, id] = [principal.partition(), principal.account()].map(ToOwned::to_owned);
    let account = Account { partition, region: here.region, id };
    let needs = asked.spec.as_ref().map_or_else(|| needs_of_all(arguments), |spec| Needs::of(spec, &account));
    let policy = permissions::policy(&Place::of(&account), &needs);
    let prefix = asked.spec.as_ref().map(|spec| Names::of(&spec.owner, account.clone()).prefix().to_owned());
    let questions = questions(&policy, &account, prefix.as_deref().unwrap_or(PREFIX));
    cloud.judge(principal, &questions).await.map_err(unjudged(&principal.arn))
}
