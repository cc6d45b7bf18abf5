//! A real AWS account in the place of the emulator: `make test-aws`.
//!
//! The stories are the same; what differs is that clients of AWS use the credentials and the region that the AWS CLI
//! would use, that the stacks' addresses are AWS's, that keys are published where AWS reaches them, and that everything
//! takes longer. The emulator runs beside it and is asked nothing, so a story that injects faults or looks behind AWS's
//! scenes is not for an account: `docs/fidelity.md` says which are.
//!
//! Everything of a run has the run's name in its own: each namespace begins with it, and so does each name in AWS behind
//! `sumu-`. That is what [`sweep`] goes by.

pub mod issuer;
pub mod sweep;

use std::collections::BTreeMap;

use aws_config::{BehaviorVersion, SdkConfig};

use crate::{Context, Result, ensure};

/// Asks for a real account, and is the name of the run.
pub const RUN: &str = "SUMU_TEST_AWS_RUN";

/// What all runs' names begin with.
pub const RUN_PREFIX: &str = "itest";

/// What a process needs to find the account: nothing else of the developer's environment reaches it.
const PASSED_ON: [&str; 4] = ["HOME", "PATH", "HTTPS_PROXY", "NO_PROXY"];

/// An account, and the run that uses it.
#[derive(Clone, Debug)]
pub struct Account {
    run: String,
    region: String,
    sdk: SdkConfig,
}

impl Account {
    /// The account that the environment asks for; nothing when it asks for none.
    pub async fn of_the_environment() -> Result<Option<Self>> {
        let Ok(run) = std::env::var(RUN) else { return Ok(None) };
        Self::of(&run).await.map(Some)
    }

    /// The account of the credentials that the AWS CLI would use.
    pub async fn of(run: &str) -> Result<Self> {
        ensure!(is_run(run), "{RUN}={run:?}: a run's name is {RUN_PREFIX} and up to eight small letters and digits");
        let sdk = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let region = sdk.region().context("no region: set AWS_REGION, or a region for AWS_PROFILE")?.to_string();
        Ok(Self { run: run.to_owned(), region, sdk })
    }

    /// What each namespace of the run begins with.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// What each name in AWS of the run begins with.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("sumu-{}-", self.run)
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Settings for clients of the AWS SDK.
    #[must_use]
    pub const fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The environment in which a program finds the account.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<String, String> {
        let is_passed_on = |name: &str| name.starts_with("AWS_") || PASSED_ON.contains(&name);
        let mut variables: BTreeMap<_, _> = std::env::vars().filter(|(name, _)| is_passed_on(name)).collect();
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            variables.insert(name.to_owned(), self.region.clone());
        }
        variables
    }
}

/// Whether a name is short enough for every name that it becomes a part of, and says that a test made it.
fn is_run(name: &str) -> bool {
    name.strip_prefix(RUN_PREFIX).is_some_and(|rest| {
        (1..=8).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_runs_are_taken_for_runs() {
        for good in ["itest1", "itestabc42"] {
            assert!(is_run(good), "{good}");
        }
        for bad in ["", "itest", "prod", "itest-1", "itestABC", "itest123456789", "xitest1"] {
            assert!(!is_run(bad), "{bad}");
        }
    }
}
