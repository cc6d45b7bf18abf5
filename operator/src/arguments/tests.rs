//! What a command line is taken for, and what is refused.

use super::*;

fn watched(arguments: &[&str]) -> Option<Vec<String>> {
    let all = ["sumu-operator", "run"].iter().chain(arguments);
    let Command::Run(arguments) = Arguments::try_parse_from(all).ok()?.command else { return None };
    Some(arguments.watched().into_iter().map(ToOwned::to_owned).collect())
}

/// Whether a command line is taken.
fn is_taken(arguments: &[&str]) -> bool {
    Arguments::try_parse_from(["sumu-operator"].iter().chain(arguments)).is_ok()
}

#[test]
fn a_refusal_ends_with_the_command_for_the_release_that_asks() {
    let told = |more: &[&str]| {
        let all = ["sumu-operator", "guard-uninstall"].iter().chain(more);
        let Command::GuardUninstall(arguments) = Arguments::try_parse_from(all).unwrap().command else { panic!() };
        arguments.way_back()
    };
    assert_eq!(told(&["--namespaces=apps"]), None, "no release asks");
    let told = told(&["--release=chat", "--release-namespace=sumu", "--revision=7"]).unwrap();
    assert!(told.ends_with("`helm rollback chat 7 --namespace sumu`."), "{told}");
    assert!(!is_taken(&["guard-uninstall", "--release=chat"]), "which revision?");
}

#[test]
fn a_plan_is_of_one_stack_of_the_cluster_or_of_a_file() {
    assert!(is_taken(&["plan", "apps/live"]) && is_taken(&["plan", "-f", "-"]));
    assert!(!is_taken(&["plan"]) && !is_taken(&["plan", "apps/live", "-f", "live.yaml"]));
    for wrong in ["live", "apps/", "/live", "apps/live/more", "apps/Live", "apps/live?watch=1"] {
        assert!(!is_taken(&["plan", wrong]), "{wrong}");
    }
}

#[test]
fn a_check_is_of_whose_the_credentials_are_or_of_one_role_or_user_whose_account_is_the_place() {
    let role = "arn:aws:iam::123456789012:role/sumu-operator";
    assert!(is_taken(&["iam", "--check"]) && is_taken(&["iam", "--check", "--principal", role]));
    assert!(is_taken(&["iam", "--check", "--stack", "apps/live", "--region", "eu-west-1"]));
    let session = "arn:aws:sts::123456789012:assumed-role/sumu-operator/me";
    assert!(is_taken(&["iam", "--check", "--principal", session]), "as `aws sts get-caller-identity` prints it");
    assert!(!is_taken(&["iam", "--principal", role]), "what of it?");
    assert!(!is_taken(&["iam", "--check", "--account", "210987654321", "--principal", role]), "in which account?");
    for wrong in ["sumu-operator", "arn:aws:iam::123456789012:root", "arn:aws:sts::123456789012:assumed-role/a"] {
        assert!(!is_taken(&["iam", "--check", "--principal", wrong]), "{wrong}");
    }
}

#[test]
fn rights_are_the_operators_or_those_of_a_stack() {
    assert!(is_taken(&["iam"]) && is_taken(&["iam", "--with", "custom-domain", "--hosted-zone", "Z1"]));
    assert!(is_taken(&["iam", "--stack", "apps/live"]) && is_taken(&["iam", "--stack", "-f", "live.yaml"]));
    assert!(!is_taken(&["iam", "-f", "live.yaml"]), "it would be ignored");
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:mail:live";
    assert!(is_taken(&["iam", "--consumer", "chat", "--consumer", "chat:7", "--subscriber", arn]));
    assert!(is_taken(&["iam", "--package", "code", "--package", "code/v1/"]));
    for wrong in ["*", "chat*", "", "arn:aws:lambda:eu-west-1:123456789012:function:*", "arn:aws:sqs:eu-west-1:1:chat"]
    {
        assert!(!is_taken(&["iam", "--consumer", wrong]), "{wrong:?}");
    }
    assert!(!is_taken(&["iam", "--package", "*"]) && !is_taken(&["iam", "--package", "/v1/"]));
    assert!(!is_taken(&["iam", "--stack", "a/b", "--consumer", "chat"]), "the stack says it");
    assert!(
        !is_taken(&["iam", "--hosted-zone", "Z1"]) && !is_taken(&["iam", "--stack", "a/b", "--with", "custom-domain"])
    );
}

#[test]
fn calls_are_paced_at_the_published_rates_at_others_or_not_at_all() {
    let parsed = ["on", "2.5", "off"].map(pacing);
    assert_eq!(parsed, [Ok(Pacing::Times(1.0)), Ok(Pacing::Times(2.5)), Ok(Pacing::Off)]);
    for wrong in ["0", "-1", "101", "NaN", "fast", ""] {
        assert!(pacing(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn namespaces_are_one_several_or_all_and_never_an_empty_name() {
    assert_eq!(watched(&["--namespace", "apps"]), Some(vec!["apps".into()]));
    assert_eq!(watched(&["--namespaces", "chat,apps,chat"]), Some(vec!["apps".into(), "chat".into()]));
    assert_eq!(watched(&["--namespace", "apps", "--namespaces", "chat"]), Some(vec!["chat".into()]), "the last counts");
    assert_eq!(watched(&["--namespaces", "apps,"]), None);
    assert_eq!(watched(&["--namespaces", ""]), None);
    assert_eq!(watched(&["--namespaces", "apps/../secrets"]), None);
}
