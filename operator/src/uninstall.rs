//! What the chart asks before it takes the operator away: whether stacks are left.
//!
//! Without an operator a stack can neither be kept nor deleted: its finalizer holds the object, and what it has in AWS
//! stays. So an answer that could not be had counts as "yes".

use kube::api::{ListParams, PartialObjectMeta};
use kube::core::ObjectList;
use kube::{Api, Client, ResourceExt as _};

use crate::sumu_stack::SumuStack;

/// How many stacks are named.
const NAMES_MAX: usize = 20;

/// Why the operator must stay.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server cannot be reached, or there is no configuration that says where it is.
    #[error("cannot connect to the Kubernetes API server, so it is not known whether stacks are left")]
    Connect(#[source] kube::Error),
    /// The stacks may not be listed, or could not be.
    #[error(
        "cannot list sumustacks.sumu.live, so it is not known whether stacks are left: may this service account list them?"
    )]
    List(#[source] kube::Error),
    /// There are some, each as `namespace/name`.
    #[error("{}", refusal(.0))]
    Left(Vec<String>),
}

/// Looks for stacks in these namespaces, or in all when none is named. Only their names are read, so that objects of
/// another version than this operator's count too.
///
/// # Errors
/// When there are any, or when that cannot be known. No definition of the resource means no stacks.
pub async fn guard(namespaces: &[&str]) -> Result<(), Error> {
    // As in `controller::run`: this one is ours.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::try_default().await.map_err(Error::Connect)?;
    let places: Vec<Api<SumuStack>> = if namespaces.is_empty() {
        vec![Api::all(client)]
    } else {
        namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
    };
    let mut left = Vec::new();
    for place in places {
        let found = match place.list_metadata(&ListParams::default()).await {
            Ok(found) => found,
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            Err(error) => return Err(Error::List(error)),
        };
        left.extend(names(&found));
    }
    if left.is_empty() { Ok(()) } else { Err(Error::Left(left)) }
}

fn names(found: &ObjectList<PartialObjectMeta<SumuStack>>) -> impl Iterator<Item = String> {
    found.items.iter().map(|stack| format!("{}/{}", stack.namespace().unwrap_or_default(), stack.name_any()))
}

fn refusal(left: &[String]) -> String {
    let named = left[..left.len().min(NAMES_MAX)].join(", ");
    let more = left.len().saturating_sub(NAMES_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let (count, are) = if left.len() == 1 { ("a SumuStack", "is") } else { ("SumuStacks", "are") };
    format!(
        "{count} {are} left: {named}{more}.\n\
         Without an operator nobody looks after what they have in AWS, and they cannot be deleted.\n\
         Delete them first (`kubectl delete sumu NAME --namespace NAMESPACE`) and wait until they are gone; those with \
         `spec.deletionPolicy: Retain` leave their AWS resources in place.\n\
         To uninstall the operator all the same: `helm uninstall --no-hooks`."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_stacks_and_what_to_do() {
        let told = refusal(&["apps/live".into()]);
        assert!(told.starts_with("a SumuStack is left: apps/live.\n"), "{told}");
        assert!(told.contains("kubectl delete sumu") && told.contains("--no-hooks"), "{told}");
    }

    #[test]
    fn of_many_stacks_some_are_named_and_the_others_counted() {
        let left: Vec<String> = (0..25).map(|number| format!("apps/live-{number}")).collect();
        let told = refusal(&left);
        assert!(told.starts_with("SumuStacks are left: apps/live-0, apps/live-1,"), "{told}");
        assert!(told.contains("apps/live-19 and 5 more.") && !told.contains("apps/live-20"), "{told}");
    }
}
