//! The stacks that are spoken of: those of a file, or one of the cluster.
//!
//! Names and ownership in AWS follow from the object's UID. So a stack of a file is the one of the cluster that has its
//! name, and a new one, of which nothing can be there unless it adopts it, when the cluster has none.

use std::io::Read as _;
use std::path::Path;

use super::Error;
use super::cluster::{Cluster, Verdict};
use super::manifest::{self, Manifest};
use crate::arguments::FullName;
use crate::status::adoption::{Claim, taken};
use crate::sumu_stack::SumuStack;

/// Where a new stack will have a UID. Kubernetes gives this one to nobody.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// A stack as it would be.
pub(super) struct Subject {
    pub(super) stack: SumuStack,
    /// Whether the cluster has no object of its name, as far as that could be seen.
    pub(super) is_new: bool,
    /// What could not be checked, in sentences.
    pub(super) notes: Vec<String>,
}

/// All that was found.
pub(super) struct Found {
    pub(super) subjects: Vec<Subject>,
    /// What a file holds beside stacks.
    pub(super) skipped: Vec<String>,
}

/// Finds one stack in the cluster, or all that are in a file.
pub(super) async fn find(
    cluster: &Result<Cluster, String>,
    name: Option<&FullName>,
    file: Option<&Path>,
) -> Result<Found, Error> {
    match (name, file) {
        (Some(name), None) => Ok(Found { subjects: vec![of_cluster(cluster, name).await?], skipped: vec![] }),
        (None, Some(file)) => of_file(cluster, file).await,
        (None, None) | (Some(_), Some(_)) => Err(Error::NoSubject),
    }
}

async fn of_cluster(cluster: &Result<Cluster, String>, name: &FullName) -> Result<Subject, Error> {
    let failed = |reason: String| Error::Kubernetes { stack: name.to_string(), reason };
    let cluster = cluster.as_ref().map_err(|reason| failed(reason.clone()))?;
    let stack = cluster.read(&name.namespace, &name.name).await.map_err(failed)?;
    let stack = stack.ok_or_else(|| Error::NotFound(name.to_string()))?;
    let mut notes = Vec::new();
    look_whose(cluster, &stack, &mut notes).await?;
    Ok(Subject { stack, is_new: false, notes })
}

async fn of_file(cluster: &Result<Cluster, String>, file: &Path) -> Result<Found, Error> {
    let shown = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
    let unread = |source| Error::File { file: shown.clone(), source };
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unread)?;
        text
    } else {
        std::fs::read_to_string(file).map_err(unread)?
    };
    let found = manifest::read(&text).map_err(|problem| Error::Manifest { file: shown.clone(), problem })?;
    if found.stacks.is_empty() {
        return Err(Error::NoStack { file: shown });
    }
    let mut subjects = Vec::new();
    for manifest in found.stacks {
        subjects.push(match cluster {
            Ok(cluster) => judged(cluster, manifest).await?,
            Err(reason) => unjudged(manifest, reason),
        });
    }
    Ok(Found { subjects, skipped: found.skipped })
}

/// A stack of a file as the cluster would have it.
async fn judged(cluster: &Cluster, manifest: Manifest) -> Result<Subject, Error> {
    let namespace = manifest.stack.metadata.namespace.clone();
    let namespace = namespace.unwrap_or_else(|| cluster.default_namespace().to_owned());
    let name = manifest.stack.metadata.name.clone().unwrap_or_default();
    let live = match cluster.read(&namespace, &name).await {
        Ok(live) => live,
        Err(reason) => return Ok(unjudged(manifest, &reason)),
    };
    let mut notes = Vec::new();
    let mut stack = match cluster.judge(&manifest, &namespace, live.as_ref()).await {
        Verdict::Admitted(stack) => *stack,
        Verdict::Refused(reason) => {
            return Err(Error::Refused { stack: format!("{namespace}/{name}"), reason });
        }
        Verdict::NotJudged(reason) => {
            notes.push(format!(
                "the API server did not check the object, so its ranges, patterns and rules may still refuse it: {reason}"
            ));
            manifest.stack
        }
    };
    let is_new = live.is_none();
    match live {
        Some(live) => (stack.metadata, stack.status) = (live.metadata, live.status),
        None => become_new(&mut stack, &namespace),
    }
    look_whose(cluster, &stack, &mut notes).await?;
    Ok(Subject { stack, is_new, notes })
}

/// Looks whether the stack that an object adopts is another object's.
async fn look_whose(cluster: &Cluster, stack: &SumuStack, notes: &mut Vec<String>) -> Result<(), Error> {
    if stack.spec.adoption.is_none() {
        return Ok(());
    }
    let taken = match cluster.claims().await {
        Ok(all) => taken(&Claim::of(stack), &all),
        Err(reason) => {
            notes.push(format!("whether another object has the stack that is adopted was not checked: {reason}"));
            None
        }
    };
    taken.map_or(Ok(()), |invalid| Err(Error::Invalid { stack: full_name(stack), invalid }))
}

fn unjudged(manifest: Manifest, reason: &str) -> Subject {
    let mut stack = manifest.stack;
    let namespace = stack.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
    become_new(&mut stack, &namespace);
    let note = format!(
        "no API server could be asked, so the stack is told as a new one, and ranges, patterns and rules of the custom \
         resource may still refuse it: {reason}"
    );
    Subject { stack, is_new: true, notes: vec![note] }
}

fn become_new(stack: &mut SumuStack, namespace: &str) {
    stack.metadata.uid = Some(NO_UID.to_owned());
    stack.metadata.namespace = Some(namespace.to_owned());
    stack.status = None;
}

/// Namespace and name.
pub(super) fn full_name(stack: &SumuStack) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    format!("{}/{}", text(&stack.metadata.namespace), text(&stack.metadata.name))
}
