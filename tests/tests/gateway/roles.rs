//! IAM.

use sumu_tests::{Result, ensure_eq};

use crate::bench::{AT_ONCE, Bench, bench};

pub const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// A role that Lambda can assume, which may do everything with queues and tables; its ARN.
pub async fn role(bench: &Bench, name: &str) -> Result<String> {
    let iam = aws_sdk_iam::Client::new(&bench.sdk);
    let made = iam.create_role().role_name(name).assume_role_policy_document(TRUST).send().await?;
    let policy = r#"{"Statement":{"Effect":"Allow","Action":["sqs:*","dynamodb:*"],"Resource":"*"}}"#;
    iam.put_role_policy().role_name(name).policy_name("own").policy_document(policy).send().await?;
    Ok(made.role.map(|role| role.arn).unwrap_or_default())
}

#[tokio::test]
async fn a_role_keeps_to_its_limits() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let iam = aws_sdk_iam::Client::new(&bench.sdk);
    let long = iam.create_role().role_name("r".repeat(65)).assume_role_policy_document(TRUST).send().await;
    bench.refused("role-name-length", long, (400, "ValidationError", "less than or equal to 64"))?;

    let trust = r#"{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}"#;
    let nobody = iam.create_role().role_name("nobody").assume_role_policy_document(trust).send().await;
    let expected = (400, "MalformedPolicyDocument", "Principal");
    bench.refused("role-trust-names-a-principal", nobody, expected)?;

    role(&bench, "full").await?;
    let policy = |name: &str, size: usize| {
        let document = format!(
            r#"{{"Id": "{}", "Statement": [{{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}}]}}"#,
            "x".repeat(size)
        );
        iam.put_role_policy().role_name("full").policy_name(name).policy_document(document).send()
    };
    policy("large", 10_000).await?;
    policy("large", 10_000).await?;
    let expected = (409, "LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role full");
    bench.refused("role-policies-size", policy("more", 200).await, expected)?;
    let kept = iam.list_role_policies().role_name("full").send().await?;
    ensure_eq!(kept.policy_names.len(), 2, "what was refused is not there");
    Ok(())
}

#[tokio::test]
async fn a_role_that_asks_for_an_external_id_is_assumed_with_no_other() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let iam = aws_sdk_iam::Client::new(&bench.sdk);
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole",
        "Condition":{"StringEquals":{"sts:ExternalId":"the word"}}}]}"#;
    let made = iam.create_role().role_name("external").assume_role_policy_document(trust).send().await?;
    let arn = made.role.map(|role| role.arn).unwrap_or_default();
    let sts = aws_sdk_sts::Client::new(&bench.sdk);
    let assume = |word: Option<&str>| {
        let call = sts.assume_role().role_arn(&arn).role_session_name("test");
        call.set_external_id(word.map(ToOwned::to_owned)).send()
    };
    for word in [None, Some("another word")] {
        let expected = (403, "AccessDenied", "is not authorized to perform: sts:AssumeRole");
        bench.refused("role-external-id", assume(word).await, expected)?;
    }
    assume(Some("the word")).await?;
    Ok(())
}
