//! Whose rights are spoken of: a role or a user, as IAM names it. Pure.

use std::fmt;

/// A role or a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its ARN.
    pub arn: String,
    /// The name of a role whose path is not known, so that the ARN may be another's or nobody's.
    pub pathless_role: Option<String>,
}

impl Principal {
    /// A role or a user, by its ARN; nothing when this is neither's.
    #[must_use]
    pub fn parse(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let known = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let (account, resource) = (parts.next()?, parts.next()?);
        let is_of_iam = known[0] == "arn" && known[2] == "iam" && known[3].is_empty();
        let is_account = account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit());
        let (kind, name) = resource.split_once('/')?;
        let is_principal = ["role", "user"].contains(&kind) && !name.is_empty();
        (is_of_iam && is_account && is_principal).then(|| Self { arn: arn.to_owned(), pathless_role: None })
    }

    /// Who has signed a call, by what STS says of the caller. A session tells its role's name and not its path; nothing for
    /// an account's root user and for federated ones, of whom IAM's policy simulator knows nothing.
    #[must_use]
    pub fn of_caller(arn: &str) -> Option<Self> {
        let Some((place, session)) = arn.split_once(":assumed-role/") else { return Self::parse(arn) };
        let mut place = place.split(':').skip(1);
        let (partition, account) = (place.next()?, place.nth(2)?);
        let (role, _) = session.split_once('/')?;
        let found = Self::parse(&format!("arn:{partition}:iam::{account}:role/{role}"))?;
        Some(Self { pathless_role: Some(role.to_owned()), ..found })
    }

    /// The account's number.
    #[must_use]
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }

    /// `aws`, `aws-cn` or `aws-us-gov`.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or_default()
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.arn.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_caller(arn: &str) -> Option<(String, Option<String>)> {
        Principal::of_caller(arn).map(|found| (found.arn, found.pathless_role))
    }

    #[test]
    fn a_session_is_its_roles_and_a_user_is_known_whole() {
        let session = "arn:aws-cn:sts::123456789012:assumed-role/sumu-operator/botocore-session-1";
        let role = "arn:aws-cn:iam::123456789012:role/sumu-operator";
        assert_eq!(of_caller(session), Some((role.into(), Some("sumu-operator".into()))));
        let user = "arn:aws:iam::123456789012:user/platform/ann";
        assert_eq!(of_caller(user), Some((user.into(), None)));
        let found = Principal::parse(user).unwrap();
        assert_eq!((found.partition(), found.account(), found.to_string().as_str()), ("aws", "123456789012", user));
    }

    #[test]
    fn of_whom_the_simulator_knows_nothing_it_is_not_asked() {
        for arn in [
            "arn:aws:iam::123456789012:root",
            "arn:aws:sts::123456789012:federated-user/ann",
            "arn:aws:iam::123456789012:group/all",
            "arn:aws:iam::12345:role/r",
            "arn:aws:sqs:us-east-1:123456789012:q",
            "role/r",
        ] {
            assert_eq!(of_caller(arn), None, "{arn}");
        }
    }
}
