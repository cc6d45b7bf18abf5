//! What a real API server says to the chart: admission, Pod Security, and who may do what.

use serde_json::{Value, json};
use sumu_tests::helm::{IMAGE, find};
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::cluster::{Cluster, NAMESPACE, RELEASE, copy, run, values};

const USER: &str = "system:serviceaccount:sumu-system:sumu-operator";

/// A pod of a template, as a controller would make it.
fn pod_of(template: &Value, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    })
}

#[test]
fn everything_that_the_chart_makes_is_admitted() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        let made = cluster.objects(RELEASE, NAMESPACE).await?;
        let made = made.iter().filter(|object| object["metadata"]["annotations"]["helm.sh/hook"].is_null());
        let mut seen = 0;
        for object in made {
            let kind = object["kind"].as_str().context("no kind")?;
            let group = object["apiVersion"].as_str().and_then(|version| version.split_once('/'));
            let kind = group.map_or_else(|| kind.to_owned(), |(group, version)| format!("{kind}.{version}.{group}"));
            let name = object["metadata"]["name"].as_str().context("no name")?;
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or(NAMESPACE);
            let found = ["get", &kind, name, "--namespace", namespace, "--output=json"];
            let found: Value = serde_json::from_str(&cluster.kubernetes.kubectl_ok(&found, "").await?)?;
            let manager = &found["metadata"]["annotations"]["meta.helm.sh/release-name"];
            ensure_eq!(manager, &json!(RELEASE), "whose {kind} {name} is");
            seen += 1;
        }
        ensure!(seen >= 12, "only {seen} objects were found");
        // Hooks are made later; what they are made of is admitted as well.
        for object in cluster.objects(RELEASE, NAMESPACE).await? {
            let arguments = [
                "apply",
                "--server-side",
                "--dry-run=server",
                "--validate=strict",
                "--force-conflicts",
                "--filename=-",
            ];
            cluster.kubernetes.kubectl_ok(&arguments, &object.to_string()).await?;
        }
        Ok(())
    })
}

/// The API server's own admission decides, because the namespace enforces the standard.
#[test]
fn each_pod_of_the_chart_is_restricted_as_the_pod_security_standards_say() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        let objects = cluster.objects(RELEASE, NAMESPACE).await?;
        let operator = pod_of(&find(&objects, "Deployment", "")?["spec"]["template"], "operator");
        let guard = pod_of(&find(&objects, "Job", "-guard")?["spec"]["template"], "guard");
        let test = pod_of(find(&objects, "Pod", "-test")?, "test");
        let dry = ["create", "--dry-run=server", "--validate=strict", "--filename=-"];
        for pod in [&operator, &guard, &test] {
            cluster.kubernetes.kubectl_ok(&dry, &pod.to_string()).await?;
            let container = &pod["spec"]["containers"][0]["securityContext"];
            ensure_eq!(container["readOnlyRootFilesystem"], json!(true), "whether it can write");
        }
        // Or the namespace would prove nothing.
        for (pointer, value) in [
            ("/spec/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
            ("/spec/containers/0/securityContext/capabilities", json!({})),
            ("/spec/securityContext/runAsNonRoot", json!(false)),
            ("/spec/securityContext/seccompProfile", json!({"type": "Unconfined"})),
        ] {
            let mut loose = operator.clone();
            *loose.pointer_mut(pointer).with_context(|| format!("there is no {pointer}"))? = value;
            let answer = cluster.kubernetes.kubectl(&dry, &loose.to_string()).await?;
            ensure!(answer.stderr.contains("violates PodSecurity \"restricted"), "{pointer}: {}", answer.stderr);
        }
        Ok(())
    })
}

#[test]
fn the_service_account_has_no_right_to_secrets_and_none_beyond_its_work() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        for (allowed, question) in [
            (true, &["list", "sumustacks.sumu.live", "--all-namespaces"][..]),
            (true, &["patch", "sumustacks.sumu.live", "--subresource=status", "--namespace=apps"]),
            (true, &["create", "events.events.k8s.io", "--namespace=apps"]),
            (true, &["update", "leases.coordination.k8s.io/sumu-operator", "--namespace=sumu-system"]),
            (false, &["update", "leases.coordination.k8s.io/another", "--namespace=sumu-system"]),
            (false, &["create", "leases.coordination.k8s.io", "--namespace=apps"]),
            (false, &["get", "secrets", "--namespace=sumu-system"]),
            (false, &["list", "secrets", "--all-namespaces"]),
            (false, &["create", "sumustacks.sumu.live", "--namespace=apps"]),
            (false, &["delete", "sumustacks.sumu.live", "--namespace=apps"]),
            (false, &["update", "sumustacks.sumu.live", "--namespace=apps"]),
            (false, &["list", "pods", "--namespace=sumu-system"]),
            (false, &["list", "namespaces"]),
            (false, &["update", "customresourcedefinitions.apiextensions.k8s.io"]),
        ] {
            ensure_eq!(cluster.may(USER, &[], question).await?, allowed, "may it {question:?}");
        }
        Ok(())
    })
}

/// No controller adds the rights of these roles to `view` and `edit` here, so each is bound by itself.
#[test]
fn who_views_or_edits_a_namespace_does_the_same_with_its_stacks() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        cluster.kubernetes.kubectl_ok(&["create", "namespace", "users"], "").await?;
        let objects = cluster.objects(RELEASE, NAMESPACE).await?;
        for (role, user, aggregated) in
            [("-view", "viewer", &["view", "edit", "admin"][..]), ("-edit", "editor", &["edit", "admin"])]
        {
            let role = find(&objects, "ClusterRole", role)?;
            for to in aggregated {
                let label = format!("rbac.authorization.k8s.io/aggregate-to-{to}");
                ensure_eq!(role["metadata"]["labels"][&label], json!("true"), "{label}");
            }
            let name = role["metadata"]["name"].as_str().context("no name")?;
            let (role, who) = (format!("--clusterrole={name}"), format!("--user={user}"));
            let bind = ["create", "rolebinding", user, &role, &who, "--namespace=users"];
            cluster.kubernetes.kubectl_ok(&bind, "").await?;
        }
        for (user, verb, subresource, allowed) in [
            ("viewer", "get", None, true),
            ("viewer", "watch", None, true),
            ("viewer", "get", Some("status"), true),
            ("viewer", "create", None, false),
            ("viewer", "delete", None, false),
            ("editor", "create", None, true),
            ("editor", "patch", None, true),
            ("editor", "delete", None, true),
            ("editor", "patch", Some("status"), false),
        ] {
            let subresource = subresource.map(|name| format!("--subresource={name}"));
            let mut question = vec![verb, "sumustacks.sumu.live", "--namespace=users"];
            question.extend(subresource.as_deref());
            ensure_eq!(cluster.may(user, &[], &question).await?, allowed, "may the {user} {question:?}");
        }
        Ok(())
    })
}

#[test]
fn an_operator_for_chosen_namespaces_sees_no_other_one() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        for namespace in ["chosen", "hidden"] {
            cluster.kubernetes.kubectl_ok(&["create", "namespace", namespace], "").await?;
        }
        cluster.restricted_namespace("sumu-chosen").await?;
        let values = json!({"crds": {"enabled": false}, "watchNamespaces": ["chosen"], "rbac": {"userRoles": false}});
        let notes = cluster.install("chosen", "sumu-chosen", &values).await?;
        ensure!(notes.contains("looks after the stacks in chosen."), "the notes say {notes}");
        let user = "system:serviceaccount:sumu-chosen:chosen-sumu-operator";
        for (allowed, place) in
            [(true, "--namespace=chosen"), (false, "--namespace=hidden"), (false, "--all-namespaces")]
        {
            for (verb, resource) in [("list", "sumustacks.sumu.live"), ("watch", "configmaps")] {
                ensure_eq!(
                    cluster.may(user, &[], &[verb, resource, place]).await?,
                    allowed,
                    "may it {verb} {resource} {place}"
                );
            }
        }
        cluster.operate("chosen", "sumu-chosen", &[]).await?.ready().await?;
        let mut curious = cluster.operate("chosen", "sumu-chosen", &["--namespaces=hidden"]).await?;
        let said = curious.ended().await?;
        ensure!(said.contains("may this service account list it?") && said.contains("forbidden"), "it said {said}");
        Ok(())
    })
}

#[test]
fn an_upgrade_brings_a_new_definition() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        let change = ("files/sumustacks.yaml", "    - sumu\n", "    - sumu\n    - sumus\n");
        let newer = copy("0.1.1", &[change])?;
        cluster.apply("upgrade", newer.path(), RELEASE, NAMESPACE, &values()).await?;
        let names = ["get", "crd", "sumustacks.sumu.live", "--output=jsonpath={.spec.names.shortNames}"];
        ensure_eq!(cluster.kubernetes.kubectl_ok(&names, "").await?, r#"["sumu","sumus"]"#, "its short names");
        let image = ["get", "deployment", RELEASE, "--namespace", NAMESPACE];
        let image = [&image[..], &["--output=jsonpath={.spec.template.spec.containers[0].image}"]].concat();
        ensure_eq!(cluster.kubernetes.kubectl_ok(&image, "").await?, format!("{IMAGE}:0.1.1"), "the image");
        Ok(())
    })
}
