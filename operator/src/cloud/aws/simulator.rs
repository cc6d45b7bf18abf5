//! IAM's policy simulator: which rights somebody has, without a call that would need them.
//!
//! Sources: IAM API Reference, `SimulatePrincipalPolicy` and `EvaluationResult`. It takes the ARN of a user or a role and not of
//! a session, counts permissions boundaries and the organisation's policies in, and not those of a session or a resource.

use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType};

use super::answers::Pages;
use super::recent::Recent;
use super::{failed, unexpected};
use crate::cloud::{CloudError, Kind};
use crate::permissions::principal::Principal;
use crate::permissions::simulation::{Question, Right, Verdict};

/// The call that whoever asks needs a right to.
pub const OPERATION: &str = "SimulatePrincipalPolicy";

pub(super) struct Simulator {
    client: Client,
    /// Who the credentials are, if the simulator can know them.
    principal: Option<Principal>,
    /// What was said lately, by what was asked.
    known: Recent<Verdict>,
}

impl Simulator {
    pub(super) fn new(client: Client, principal: Option<Principal>) -> Self {
        Self { client, principal, known: Recent::lasting(Duration::from_mins(1)) }
    }

    pub(super) const fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// The same as [`ask`](Self::ask) of the credentials themselves, at most once a minute.
    pub(super) async fn ask_of_us(&self, questions: &[Question]) -> Result<Option<Verdict>, CloudError> {
        let Some(principal) = &self.principal else { return Ok(None) };
        let key = format!("{questions:?}");
        if let Some(known) = self.known.get(&key) {
            return Ok(Some(known));
        }
        let verdict = self.ask(principal, questions).await?;
        self.known.put(&key, verdict.clone());
        Ok(Some(verdict))
    }

    pub(super) async fn ask(&self, principal: &Principal, questions: &[Question]) -> Result<Verdict, CloudError> {
        match (self.judge(principal.clone(), questions).await, &principal.pathless_role) {
            // The role may have a path. Who may ask for its ARN alone is denied any other.
            (Err(error), Some(role)) if [Kind::NotFound, Kind::Denied].contains(&error.kind) => {
                let answer = self.client.get_role().role_name(role).send().await;
                let found = answer.ok().and_then(|answer| Principal::parse(&answer.role?.arn));
                match found.filter(|found| found.arn != principal.arn) {
                    Some(whole) => self.judge(whole, questions).await,
                    None => Err(error),
                }
            }
            (judged, _) => judged,
        }
    }

    async fn judge(&self, principal: Principal, questions: &[Question]) -> Result<Verdict, CloudError> {
        let (mut lacking, mut open) = (Vec::new(), Vec::new());
        for question in questions {
            for (right, decision, missing) in Box::pin(self.simulate(&principal, question)).await? {
                if decision == PolicyEvaluationDecisionType::Allowed {
                    continue;
                }
                // A condition that cannot be judged denies in the simulator, whatever it would do to the call.
                if missing.is_empty() {
                    lacking.push(right);
                } else {
                    open.push((right, missing));
                }
            }
        }
        lacking.sort();
        open.sort();
        Ok(Verdict { principal, lacking, open })
    }

    async fn simulate(&self, principal: &Principal, question: &Question) -> Result<Vec<Judged>, CloudError> {
        let mut pages = Pages::of(OPERATION, &principal.arn);
        let (mut marker, mut judged) = (None, Vec::new());
        loop {
            let call = self
                .client
                .simulate_principal_policy()
                .policy_source_arn(&principal.arn)
                .set_action_names(Some(question.actions.clone()))
                .set_resource_arns(Some(question.resources.clone()))
                .set_context_entries(Some(question.circumstances.iter().map(entry).collect()))
                .set_marker(marker);
            let answer = call.send().await.map_err(failed(OPERATION, &principal.arn))?;
            judged.extend(
                answer.evaluation_results.unwrap_or_default().into_iter().flat_map(|result| each(result, question)),
            );
            marker = pages.after(answer.marker.filter(|_| answer.is_truncated))?;
            if marker.is_none() {
                return complete(judged, principal, question);
            }
        }
    }
}

/// A right, what the simulator decides, and the keys that it would have to know.
type Judged = (Right, PolicyEvaluationDecisionType, Vec<String>);

/// An answer that leaves something out must not look like one that allows it.
fn complete(judged: Vec<Judged>, principal: &Principal, question: &Question) -> Result<Vec<Judged>, CloudError> {
    let is_judged = |action: &&String| judged.iter().any(|(right, ..)| right.action.eq_ignore_ascii_case(action));
    match question.actions.iter().find(|action| !is_judged(action)) {
        Some(left_out) => Err(unexpected(OPERATION, &principal.arn, format!("the answer leaves {left_out} out"))),
        None => Ok(judged),
    }
}

/// The decisions on each resource. Where the simulator tells none of its own, the one that it tells is for all.
fn each(result: EvaluationResult, question: &Question) -> Vec<Judged> {
    let action = result.eval_action_name;
    let specific = result.resource_specific_results.unwrap_or_default();
    if specific.is_empty() {
        let right = Right { action, resource: question.resources.join(", ") };
        return vec![(right, result.eval_decision, result.missing_context_values.unwrap_or_default())];
    }
    let judged = specific.into_iter().map(|one| {
        let right = Right { action: action.clone(), resource: one.eval_resource_name };
        (right, one.eval_resource_decision, one.missing_context_values.unwrap_or_default())
    });
    judged.collect()
}

fn entry((key, values): &(String, Vec<String>)) -> ContextEntry {
    ContextEntry::builder()
        .context_key_name(key)
        .context_key_type(ContextKeyTypeEnum::String)
        .set_context_key_values(Some(values.clone()))
        .build()
}
