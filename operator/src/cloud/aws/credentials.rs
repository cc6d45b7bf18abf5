//! Credentials, the operator's own and those of the roles that stacks are made with: one provider for its own and one a
//! role and region, and few questions while there are none.
//!
//! Hundreds of stacks may share a role. All of them get the credentials that one of them has asked for, and while STS
//! refuses, all of them hear its last words: STS's rate is the whole account's, and a role that is wrong stays so until
//! somebody mends it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, Mutex as BlockingMutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::Client;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use futures::future::BoxFuture;
use tokio::sync::Mutex;

use super::calls::CallCounter;
use super::{failed, unexpected};
use crate::cloud::error::{Failure as _, cause, chain};
use crate::cloud::{CloudError, Kind};
use crate::stack::{AssumedRole, Location};

type WebIdentityError = SdkError<AssumeRoleWithWebIdentityError, HttpResponse>;

/// How often STS is asked at the most.
const ASKED_EVERY: Duration = Duration::from_mins(1);
/// New credentials are asked for so long before the old ones end, as the SDKs do.
pub(super) const EARLY: Duration = Duration::from_mins(5);
const OPERATION: &str = "AssumeRole";
/// Who called, as AWS's trail shows it.
const SESSION_NAME: &str = "sumu-operator";

/// The credentials of a place's role, the same for all that ask for them.
pub(super) fn of(role: &AssumedRole, location: &Location, base: &SdkConfig) -> SharedCredentialsProvider {
    // By region too: one that does not exist must not keep the role from working in others.
    static ROLES: LazyLock<BlockingMutex<HashMap<Location, SharedCredentialsProvider>>> =
        LazyLock::new(BlockingMutex::default);
    let mut roles = ROLES.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || SharedCredentialsProvider::new(Shared::new(Sts::new(role, base)));
    roles.entry(location.clone()).or_insert_with(new).clone()
}

/// The operator's own credentials, from wherever the SDK finds them.
pub(super) fn own(chain: SharedCredentialsProvider) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Shared::new(Chain(chain)))
}

/// Who is asked.
trait Ask: fmt::Debug + Send + Sync {
    /// For what, as a failure tells it: the operation, and the role if there is one.
    fn what(&self) -> (&'static str, &str);

    fn ask(&self) -> BoxFuture<'_, Result<Credentials, CloudError>>;
}

/// `AssumeRole` of AWS STS.
#[derive(Debug)]
struct Sts {
    client: Client,
    role: AssumedRole,
}

impl Sts {
    fn new(role: &AssumedRole, base: &SdkConfig) -> Self {
        // Whoever needs credentials comes again, and then it is a minute later.
        let once = RetryConfig::disabled();
        let config = aws_sdk_sts::config::Builder::from(base).retry_config(once).interceptor(CallCounter);
        Self { client: Client::from_conf(config.build()), role: role.clone() }
    }
}

impl Ask for Sts {
    fn what(&self) -> (&'static str, &str) {
        (OPERATION, &self.role.arn)
    }

    fn ask(&self) -> BoxFuture<'_, Result<Credentials, CloudError>> {
        Box::pin(async {
            let AssumedRole { arn, external_id } = &self.role;
            let call = self.client.assume_role().role_arn(arn).role_session_name(SESSION_NAME);
            let answer = call.set_external_id(external_id.clone()).send().await.map_err(failed(OPERATION, arn))?;
            let got = answer.credentials.ok_or_else(|| unexpected(OPERATION, arn, "the answer has no credentials"))?;
            let end = SystemTime::try_from(got.expiration)
                .map_err(|_| unexpected(OPERATION, arn, "the answer has no end of the credentials"))?;
            let token = Some(got.session_token);
            Ok(Credentials::new(got.access_key_id, got.secret_access_key, token, Some(end), SESSION_NAME))
        })
    }
}

/// The SDK's own way: environment, profile, web identity, the container's agent, the machine.
#[derive(Debug)]
struct Chain(SharedCredentialsProvider);

const WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";

impl Ask for Chain {
    fn what(&self) -> (&'static str, &str) {
        ("Credentials", "")
    }

    fn ask(&self) -> BoxFuture<'_, Result<Credentials, CloudError>> {
        Box::pin(async {
            self.0.provide_credentials().await.map_err(|error| match cause::<WebIdentityError>(&error) {
                // The SDK's own text has the request's id.
                Some(refusal) => {
                    let (kind, code, message) = refusal.classify();
                    CloudError { operation: WEB_IDENTITY, resource: String::new(), kind, code, message }
                }
                None => CloudError { kind: Kind::Denied, message: chain(&error), ..unanswered(self.what()) },
            })
        })
    }
}

/// Credentials. Whoever asks meanwhile waits for the same answer.
#[derive(Debug)]
struct Shared<A> {
    of: A,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    credentials: Option<Credentials>,
    /// When STS was asked last and gave none, and what it said.
    refusal: Option<(Instant, CloudError)>,
}

impl<A: Ask> Shared<A> {
    fn new(of: A) -> Self {
        Self { of, known: Mutex::default() }
    }

    async fn provide(&self, time: SystemTime, now: Instant) -> provider::Result {
        let mut known = self.known.lock().await;
        if let Some(credentials) = known.lasting(time + EARLY) {
            return Ok(credentials);
        }
        let lately = known.refusal.as_ref().filter(|(at, _)| now.duration_since(*at) < ASKED_EVERY);
        let refusal = if let Some((_, refusal)) = lately {
            refusal.clone()
        } else {
            // Whoever waits may give up before the answer, and then this ends here.
            known.refusal = Some((now, unanswered(self.of.what())));
            match self.of.ask().await {
                Ok(credentials) => {
                    *known = Known { credentials: Some(credentials.clone()), refusal: None };
                    return Ok(credentials);
                }
                Err(refusal) => known.refusal.insert((now, refusal)).1.clone(),
            }
        };
        known.lasting(time).ok_or_else(|| CredentialsError::provider_error(refusal))
    }
}

impl Known {
    /// Credentials that are good after that time.
    fn lasting(&self, time: SystemTime) -> Option<Credentials> {
        // Access keys do not end.
        self.credentials.clone().filter(|credentials| credentials.expiry().is_none_or(|end| end > time))
    }
}

impl<A: Ask> ProvideCredentials for Shared<A> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide(SystemTime::now(), Instant::now()))
    }
}

fn unanswered((operation, resource): (&'static str, &str)) -> CloudError {
    CloudError {
        operation,
        resource: resource.to_owned(),
        kind: Kind::Unreachable,
        code: String::new(),
        message: "no answer in time".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    const ARN: &str = "arn:aws:iam::111122223333:role/sumu";
    const HOUR: Duration = Duration::from_hours(1);

    /// Gives credentials that last for an hour, or refuses.
    #[derive(Debug, Default)]
    struct Asked {
        refuses: AtomicBool,
        is_silent: AtomicBool,
        times: AtomicUsize,
    }

    impl Asked {
        fn times(&self) -> usize {
            self.times.load(Ordering::SeqCst)
        }
    }

    impl Ask for (Arc<Asked>, SystemTime) {
        fn what(&self) -> (&'static str, &str) {
            (OPERATION, ARN)
        }

        fn ask(&self) -> BoxFuture<'_, Result<Credentials, CloudError>> {
            Box::pin(async {
                let (asked, begin) = self;
                let time = asked.times.fetch_add(1, Ordering::SeqCst);
                if asked.is_silent.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                if asked.refuses.load(Ordering::SeqCst) {
                    return Err(CloudError {
                        kind: Kind::Denied,
                        message: format!("refused at {time}"),
                        ..unanswered((OPERATION, ARN))
                    });
                }
                Ok(Credentials::new(format!("key {time}"), "secret", None, Some(*begin + HOUR), SESSION_NAME))
            })
        }
    }

    struct Story {
        asked: Arc<Asked>,
        shared: Shared<(Arc<Asked>, SystemTime)>,
        time: SystemTime,
        now: Instant,
    }

    impl Story {
        fn begin() -> Self {
            let (asked, time) = (Arc::<Asked>::default(), SystemTime::now());
            Self { shared: Shared::new((Arc::clone(&asked), time)), asked, time, now: Instant::now() }
        }

        /// What somebody who asks so long after the begin gets.
        async fn after(&self, passed: Duration) -> Result<String, String> {
            let got = self.shared.provide(self.time + passed, self.now + passed).await;
            let told = |error: CredentialsError| std::error::Error::source(&error).unwrap().to_string();
            got.map(|credentials| credentials.access_key_id().to_owned()).map_err(told)
        }
    }

    #[tokio::test]
    async fn all_who_ask_for_a_role_get_the_same_credentials_until_they_nearly_end() {
        let story = Story::begin();
        let all = futures::future::join_all((0..100).map(|_| story.after(Duration::ZERO))).await;
        assert!(all.iter().all(|got| got.as_deref() == Ok("key 0")), "{all:?}");
        assert_eq!(story.after(Duration::from_mins(54)).await.as_deref(), Ok("key 0"));
        assert_eq!(story.asked.times(), 1);
        assert_eq!(story.after(Duration::from_mins(55)).await.as_deref(), Ok("key 1"));
    }

    #[tokio::test]
    async fn a_role_that_is_refused_is_asked_for_once_a_minute_and_everybody_hears_why() {
        let story = Story::begin();
        story.asked.refuses.store(true, Ordering::SeqCst);
        for second in 0..150 {
            let told = story.after(Duration::from_secs(second)).await.unwrap_err();
            assert_eq!(told, format!("AssumeRole {ARN}: refused at {}", second / 60));
        }
        assert_eq!(story.asked.times(), 3);
        story.asked.refuses.store(false, Ordering::SeqCst);
        assert!(story.after(Duration::from_secs(179)).await.is_err(), "asked before the minute was over");
        assert_eq!(story.after(Duration::from_mins(3)).await.as_deref(), Ok("key 3"));
    }

    #[tokio::test]
    async fn credentials_that_cannot_be_had_anew_are_used_to_their_end() {
        let story = Story::begin();
        assert_eq!(story.after(Duration::ZERO).await.as_deref(), Ok("key 0"));
        story.asked.refuses.store(true, Ordering::SeqCst);
        assert_eq!(story.after(Duration::from_mins(59)).await.as_deref(), Ok("key 0"));
        assert_eq!(story.after(HOUR).await, Err(format!("AssumeRole {ARN}: refused at 2")));
    }

    #[tokio::test]
    async fn keys_that_do_not_end_are_asked_for_once_and_a_chain_without_any_once_a_minute_with_its_reason() {
        let asked = Arc::<Counted>::default();
        let shared = Shared::new(Chain(SharedCredentialsProvider::new(Keys(Arc::clone(&asked)))));
        let (time, now) = (SystemTime::now(), Instant::now());
        let after = async |passed: Duration| shared.provide(time + passed, now + passed).await;
        for second in 0..90 {
            let told = after(Duration::from_secs(second)).await.unwrap_err();
            let told = std::error::Error::source(&told).unwrap().downcast_ref::<CloudError>().unwrap().clone();
            assert_eq!(told.kind, Kind::Denied);
            assert!(told.message.contains("nobody has set any"), "{told}");
        }
        assert_eq!(asked.times.load(Ordering::SeqCst), 2);
        asked.has_keys.store(true, Ordering::SeqCst);
        for hour in 1..100 {
            assert_eq!(after(HOUR * hour).await.unwrap().access_key_id(), "key");
        }
        assert_eq!(asked.times.load(Ordering::SeqCst), 3);
    }

    /// A chain that finds keys once there are some.
    #[derive(Debug, Default)]
    struct Counted {
        has_keys: AtomicBool,
        times: AtomicUsize,
    }

    #[derive(Debug)]
    struct Keys(Arc<Counted>);

    impl ProvideCredentials for Keys {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.0.times.fetch_add(1, Ordering::SeqCst);
            future::ProvideCredentials::ready(if self.0.has_keys.load(Ordering::SeqCst) {
                Ok(Credentials::new("key", "secret", None, None, "test"))
            } else {
                Err(CredentialsError::not_loaded("nobody has set any"))
            })
        }
    }

    #[tokio::test]
    async fn an_answer_that_nobody_waited_for_counts_as_a_refusal() {
        let story = Story::begin();
        story.asked.is_silent.store(true, Ordering::SeqCst);
        let given_up = tokio::time::timeout(Duration::from_millis(1), story.after(Duration::ZERO)).await;
        assert!(given_up.is_err(), "it was answered: {given_up:?}");
        let told = story.after(Duration::from_secs(1)).await;
        assert_eq!(told, Err(format!("AssumeRole {ARN}: no answer in time")));
        assert_eq!(story.asked.times(), 1);
    }
}
