//! IAM's policy simulator, of callers with a policy.

use aws_config::SdkConfig;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, ResourceSpecificResult};
use serde_json::json;
use sumu_tests::{Context, Result, ensure_eq};

use crate::bench::{AT_ONCE, Bench, bench};
use crate::roles::TRUST;

const ROLE: &str = "arn:aws:iam::000000000000:role";

/// A gateway that knows a caller with a policy, and the caller.
async fn limited(key: &str) -> Result<(Bench, SdkConfig)> {
    let bench = bench(AT_ONCE).await?;
    let statements = json!([
        {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "sqs:*", "Resource": "arn:aws:sqs:us-east-1:000000000000:mine"},
        {"Effect": "Deny", "Action": "sqs:DeleteQueue", "Resource": "*"},
        {"Effect": "Allow", "Action": "sns:Publish", "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}}},
    ]);
    bench.gateway.limit(key, json!({"Version": "2012-10-17", "Statement": statements}));
    let sdk = bench.caller(key).await;
    Ok((bench, sdk))
}

fn told(results: &[ResourceSpecificResult]) -> Vec<String> {
    let one = |result: &ResourceSpecificResult| {
        let name = result.eval_resource_name().rsplit(':').next().unwrap_or_default();
        format!("{name}: {} {}", result.eval_resource_decision(), result.missing_context_values().join(","))
    };
    results.iter().map(|result| one(result).trim().to_owned()).collect()
}

#[tokio::test]
async fn each_action_is_judged_on_each_resource_page_by_page() -> Result<()> {
    let (_bench, sdk) = limited("judged").await?;
    let iam = aws_sdk_iam::Client::new(&sdk);
    let actions =
        ["sqs:SendMessage", "sqs:DeleteQueue", "sns:Publish", "sqs:CreateQueue", "sqs:TagQueue", "logs:TagResource"];
    let call = iam
        .simulate_principal_policy()
        .policy_source_arn(format!("{ROLE}/judged"))
        .set_action_names(Some(actions.map(ToOwned::to_owned).to_vec()))
        .resource_arns("arn:aws:sqs:us-east-1:000000000000:mine")
        .resource_arns("arn:aws:sqs:us-east-1:000000000000:other");
    let first = call.clone().send().await?;
    ensure_eq!((first.is_truncated, first.evaluation_results().len()), (true, 4), "the first page");
    let second = call.clone().set_marker(first.marker.clone()).send().await?;
    ensure_eq!((second.is_truncated, second.evaluation_results().len()), (false, 2), "the second page");
    let results: Vec<_> =
        [first, second].into_iter().flat_map(|page| page.evaluation_results.unwrap_or_default()).collect();
    let decided: Vec<_> = results.iter().map(|result| told(result.resource_specific_results())).collect();
    let [mine, both_denied] = [["mine: allowed", "other: implicitDeny"], ["mine: implicitDeny", "other: implicitDeny"]];
    let open = ["mine: implicitDeny aws:ResourceTag/team", "other: implicitDeny aws:ResourceTag/team"];
    ensure_eq!(decided, [mine, both_denied, open, mine, mine, both_denied], "what is decided on {actions:?}");
    let decisions: Vec<_> = results.iter().map(|result| result.eval_decision().as_str()).collect();
    ensure_eq!(decisions, ["implicitDeny"; 6], "the most restrictive decisions");

    let tag = ContextEntry::builder().context_key_name("aws:ResourceTag/team").context_key_values("a");
    let tag = tag.context_key_type(ContextKeyTypeEnum::String).build();
    let known = iam.simulate_principal_policy().policy_source_arn(format!("{ROLE}/judged")).action_names("sns:Publish");
    let known = known.resource_arns("arn:aws:sns:us-east-1:000000000000:t").context_entries(tag).send().await?;
    let result = known.evaluation_results().first().context("no result")?;
    ensure_eq!(told(result.resource_specific_results()), ["t: allowed"], "what is decided once the tag is known");
    Ok(())
}

#[tokio::test]
async fn a_role_is_known_by_its_whole_path_which_its_sessions_do_not_tell() -> Result<()> {
    let (bench, sdk) = limited("pathful").await?;
    let caller = aws_sdk_sts::Client::new(&sdk).get_caller_identity().send().await?;
    let session = "arn:aws:sts::000000000000:assumed-role/pathful/pathful";
    ensure_eq!(caller.arn(), Some(session), "who STS says that this is");
    ensure_eq!(bench.gateway.count("identity-of-session"), 1, "answers that were changed");
    let iam = aws_sdk_iam::Client::new(&sdk);
    let role = iam.create_role().role_name("pathful").path("/platform/").assume_role_policy_document(TRUST);
    role.send().await?;
    let ask = |arn: String| {
        let call = iam.simulate_principal_policy().policy_source_arn(arn).action_names("iam:GetRole");
        call.resource_arns("*").send()
    };
    let pathless = ask(format!("{ROLE}/pathful")).await;
    bench.refused("role-simulation", pathless, (404, "NoSuchEntity", "cannot be found"))?;
    ensure_eq!(ask(format!("{ROLE}/platform/pathful")).await?.evaluation_results().len(), 1, "results");
    Ok(())
}
