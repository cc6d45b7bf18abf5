//! What the functions of a stack may do, as the operator would write it to their roles. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use sumu_contract::Function;

use super::preview::without_uid;
use crate::desired::Desired;
use crate::desired::policy::Document;
use crate::desired::roles::{self, POLICY_NAME};
use crate::observed::{ApiState, Observed};
use crate::stack::name::Names;

/// The roles of one stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Roles {
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// One role a function, by the function's name.
    pub roles: BTreeMap<String, Role>,
    /// What is not known, in sentences.
    pub notes: Vec<String>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Its name.
    pub role_name: String,
    /// Who may assume it.
    pub trust: Document,
    /// Its inline policies, by their names.
    pub policies: BTreeMap<&'static str, Document>,
}

impl Roles {
    /// The roles of a stack. While `api_id` is not known `*` stands for it, and for each digit that follows from the UID of
    /// an object that is not there yet stands `?`: both mean the same in a policy.
    #[must_use]
    pub fn of(desired: &Desired, api_id: Option<&str>, is_new: bool, mut notes: Vec<String>) -> Self {
        if api_id.is_none() {
            notes.push("the API has no id yet, so * stands for it".into());
        }
        if is_new {
            notes.push(
                "names end in eight digits that follow from the object's UID, so ???????? stands for them".into(),
            );
        }
        let names = &desired.names;
        let shown = |document: &Document| if is_new { unnamed(document, names) } else { document.clone() };
        let api = ApiState { id: api_id.unwrap_or("*").to_owned(), ..ApiState::default() };
        let observed = Observed { apis: vec![api], ..Observed::default() };
        let role = |(function, role): (&Function, &roles::Role)| {
            let name = names.function(*function);
            let role_name = if is_new { without_uid(&name, names) } else { name };
            let policy = role.policy(names, &observed);
            let policies = policy.map(|policy| (POLICY_NAME, shown(&policy))).into_iter().collect();
            (function.to_string(), Role { role_name, trust: Document::lambda_trust(), policies })
        };
        Self {
            namespace: desired.owner.namespace.clone(),
            name: desired.owner.name.clone(),
            roles: desired.roles.iter().map(role).collect(),
            notes,
        }
    }
}

fn unnamed(document: &Document, names: &Names) -> Document {
    Document::parse(&without_uid(&document.text(), names))
}
