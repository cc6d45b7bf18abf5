//! Which right a request to the API server needs, by the rules of Kubernetes' authorization.

use std::fmt;

use hyper::{Method, Uri};

/// A verb on a resource, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The namespace; none for all of them, or for what is in none.
    pub namespace: Option<String>,
    /// The API group, empty for the core.
    pub group: String,
    /// The resource, with the subresource behind a slash.
    pub resource: String,
    /// What is done.
    pub verb: &'static str,
    /// The object's name, when the request has one.
    pub name: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, group, resource, verb, .. } = self;
        write!(f, "{verb} {resource} of {group:?} in {}", namespace.as_deref().unwrap_or("all namespaces"))
    }
}

/// The right that a request needs; none for one that is about no resource, such as `/version`.
#[must_use]
pub fn right(method: &Method, uri: &Uri) -> Option<Right> {
    let mut parts = uri.path().split('/').filter(|part| !part.is_empty()).peekable();
    let group = match parts.next()? {
        "api" => "",
        "apis" => parts.next()?,
        _ => return None,
    };
    // The version.
    parts.next()?;
    let mut namespace = None;
    if parts.next_if_eq(&"namespaces").is_some() {
        namespace = parts.next();
        if parts.peek().is_none() {
            return Some(of(method, uri, None, group, "namespaces", namespace));
        }
    }
    let resource = parts.next()?;
    let name = parts.next();
    let resource = parts.next().map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}"));
    Some(of(method, uri, namespace, group, &resource, name))
}

fn of(method: &Method, uri: &Uri, namespace: Option<&str>, group: &str, resource: &str, name: Option<&str>) -> Right {
    let query = uri.query().unwrap_or_default();
    let is_watch = query.split('&').any(|part| part == "watch=true" || part == "watch=1");
    let verb = match (method.as_str(), name) {
        ("GET" | "HEAD", Some(_)) => "get",
        ("GET" | "HEAD", None) if is_watch => "watch",
        ("GET" | "HEAD", None) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", Some(_)) => "delete",
        ("DELETE", None) => "deletecollection",
        _ => "unknown",
    };
    // A list of the one object that a field selector names needs the right to this object alone.
    let selected = query.split('&').find_map(|part| part.strip_prefix("fieldSelector=metadata.name%3D"));
    let name = name.or(selected.filter(|_| name.is_none())).map(ToOwned::to_owned);
    Right {
        namespace: namespace.map(ToOwned::to_owned),
        group: group.to_owned(),
        resource: resource.to_owned(),
        verb,
        name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(method: &Method, uri: &str) -> String {
        right(method, &uri.parse().unwrap()).map_or_else(|| "nothing".to_owned(), |right| right.to_string())
    }

    #[test]
    fn each_request_needs_the_right_that_kubernetes_would_ask_for() {
        let stacks = "/apis/sumu.live/v1alpha1/sumustacks";
        let apps = "/apis/sumu.live/v1alpha1/namespaces/apps/sumustacks";
        for (method, uri, expected) in [
            (Method::GET, stacks.to_owned(), "list sumustacks of \"sumu.live\" in all namespaces"),
            (
                Method::GET,
                format!("{stacks}?limit=1&watch=true"),
                "watch sumustacks of \"sumu.live\" in all namespaces",
            ),
            (Method::GET, format!("{apps}/live"), "get sumustacks of \"sumu.live\" in apps"),
            (
                Method::PATCH,
                format!("{apps}/live/status?force=true"),
                "patch sumustacks/status of \"sumu.live\" in apps",
            ),
            (Method::POST, "/api/v1/namespaces/apps/configmaps".into(), "create configmaps of \"\" in apps"),
            (Method::DELETE, "/api/v1/namespaces/apps/configmaps/a".into(), "delete configmaps of \"\" in apps"),
            (Method::PUT, "/api/v1/namespaces/apps".into(), "update namespaces of \"\" in all namespaces"),
            (Method::GET, "/version".into(), "nothing"),
        ] {
            assert_eq!(said(&method, &uri), expected, "{method} {uri}");
        }
    }

    #[test]
    fn a_list_of_one_object_is_about_this_object() {
        let leases = "/apis/coordination.k8s.io/v1/namespaces/sumu/leases";
        let uri = format!("{leases}?&fieldSelector=metadata.name%3Dsumu-operator&watch=true");
        let right = right(&Method::GET, &uri.parse().unwrap()).unwrap();
        assert_eq!((right.verb, right.name.as_deref()), ("watch", Some("sumu-operator")));
    }
}
