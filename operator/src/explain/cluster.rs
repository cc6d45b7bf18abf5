//! What the API server knows of a stack, and what it thinks of one that it does not have yet. Nothing is written there:
//! objects are read, and sent as a dry run.

use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::{Api, Client, Config, Error};
use serde_json::{Value, json};

use super::manifest::Manifest;
use crate::status::adoption::Claim;
use crate::sumu_stack::SumuStack;

/// Somebody waits in front of a terminal.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// A cluster that can be asked.
pub(super) struct Cluster {
    client: Client,
}

/// What the API server thinks of an object.
pub(super) enum Verdict {
    /// It would admit it, and then it would be this one.
    Admitted(Box<SumuStack>),
    /// It would refuse it, with these words.
    Refused(String),
    /// It did not judge, for this reason.
    NotJudged(String),
}

impl Cluster {
    /// The cluster of the current kubeconfig, or the one that this process is in.
    pub(super) async fn connect() -> Result<Self, String> {
        let mut config = Config::infer().await.map_err(|error| error.to_string())?;
        config.connect_timeout = Some(ANSWERED_WITHIN);
        config.read_timeout = Some(ANSWERED_WITHIN);
        let client = Client::try_from(config).map_err(|error| words(&error))?;
        Ok(Self { client })
    }

    /// The namespace of objects that name none.
    pub(super) fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// The object of this name, if there is one.
    pub(super) async fn read(&self, namespace: &str, name: &str) -> Result<Option<SumuStack>, String> {
        let Some(object) = self.api(namespace).get_opt(name).await.map_err(|error| words(&error))? else {
            return Ok(None);
        };
        understood(&object).map(Some)
    }

    /// Which object of the cluster has which stack.
    pub(super) async fn claims(&self) -> Result<Vec<Claim>, String> {
        let all: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::erase::<SumuStack>(&()));
        let listed = all.list(&ListParams::default()).await.map_err(|error| words(&error))?;
        let of = |object: &DynamicObject| {
            understood(object).map_or_else(|_| Claim::of_unreadable(&object.metadata), |stack| Claim::of(&stack))
        };
        Ok(listed.items.iter().map(of).collect())
    }

    /// Asks what would become of an object that is written so, in the place of the one that is there.
    ///
    /// A replacement is asked for and not an apply: an apply would leave in place what others have written, and whose the
    /// fields of an object are depends on the tool that it is applied with.
    pub(super) async fn judge(&self, manifest: &Manifest, namespace: &str, live: Option<&SumuStack>) -> Verdict {
        let mut object = manifest.object.clone();
        object["metadata"]["namespace"] = json!(namespace);
        if let Some(live) = live {
            object["metadata"] = serde_json::to_value(&live.metadata).unwrap_or_default();
            object["metadata"]["managedFields"] = Value::Null;
        }
        let object: DynamicObject = match serde_json::from_value(object) {
            Ok(object) => object,
            Err(error) => return Verdict::Refused(error.to_string()),
        };
        let name = manifest.stack.metadata.name.as_deref().unwrap_or_default();
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let api = self.api(namespace);
        let answer = match live {
            Some(_) => api.replace(name, &dry, &object).await,
            None => api.create(&dry, &object).await,
        };
        match answer {
            Ok(object) => match understood(&object) {
                Ok(stack) => Verdict::Admitted(Box::new(stack)),
                Err(problem) => Verdict::Refused(problem),
            },
            Err(Error::Api(status)) if is_refusal(status.code, &status.message) => {
                Verdict::Refused(status.message.clone())
            }
            Err(error) => Verdict::NotJudged(words(&error)),
        }
    }

    /// Untyped, so that a field which this program does not know fails with a sentence.
    fn api(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &ApiResource::erase::<SumuStack>(&()))
    }
}

fn understood(object: &DynamicObject) -> Result<SumuStack, String> {
    let problem = |error| {
        format!("this version of the operator does not understand the object; use that of the installed CRD: {error}")
    };
    let value = serde_json::to_value(object).map_err(problem)?;
    serde_json::from_value(value).map_err(problem)
}

/// Whether an answer speaks of the object, and not of who asks, of its namespace or of the kind.
fn is_refusal(code: u16, message: &str) -> bool {
    // RBAC's words, which are the same in all versions. Admission may forbid too, and then it means the object.
    let is_rights = code == 403 && message.contains("cannot") && message.contains("resource");
    matches!(code, 400 | 403 | 422) && !is_rights
}

/// An error in one sentence.
fn words(error: &Error) -> String {
    match error {
        Error::Api(status) => status.message.clone(),
        other => {
            let mut words = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(next) = cause {
                let next_words = next.to_string();
                if !words.contains(&next_words) {
                    words = format!("{words}: {next_words}");
                }
                cause = next.source();
            }
            words
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::Resource as _;

    use super::*;

    #[test]
    fn only_what_is_said_about_the_object_is_a_refusal() {
        assert!(is_refusal(422, "SumuStack.sumu.live \"live\" is invalid: spec.aws.region: Invalid value"));
        assert!(is_refusal(400, "admission webhook \"policy\" denied the request: a cost tag is missing"));
        assert!(is_refusal(403, "sumustacks.sumu.live \"live\" is forbidden: exceeded quota: stacks"));
        let rights =
            "sumustacks.sumu.live is forbidden: User \"bob\" cannot create resource \"sumustacks\" in API group";
        assert!(!is_refusal(403, rights));
        assert!(!is_refusal(404, "namespaces \"apps\" not found"));
        assert!(!is_refusal(500, "etcdserver: request timed out"));
    }

    #[test]
    fn the_kind_is_asked_for_by_its_own_name() {
        let kind = ApiResource::erase::<SumuStack>(&());
        assert_eq!((kind.plural.as_str(), SumuStack::kind(&()).as_ref()), ("sumustacks", kind.kind.as_str()));
    }
}
