//! How soon a function is ready, and how large its program is.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use sumu_contract::settings::{
    AuthorizerSettings, Issuer, PresenceSource, RoutesSettings, Settings, TokenSource, WatchdogSettings,
};

use super::function::{Function, environment};
use super::posts::pusher_environment;
use super::stand_in::StandIn;
use super::table;

type Failure = Box<dyn Error + Send + Sync>;

/// How often each is started.
const STARTS: usize = 21;

/// Prints the table.
pub async fn run() -> Result<(), Failure> {
    let stand_in = StandIn::start(0, Duration::ZERO, Duration::ZERO).await?;
    let own = std::env::current_exe()?.display().to_string();
    let programs = [
        ("a function that does nothing", own.as_str(), vec!["subject", "echo"], environment(&stand_in)),
        ("authorizer", env!("CARGO_BIN_EXE_authorizer"), Vec::new(), authorizer_environment(&stand_in)),
        ("routes", env!("CARGO_BIN_EXE_routes"), Vec::new(), routes_environment(&stand_in)),
        ("pusher", env!("CARGO_BIN_EXE_pusher"), Vec::new(), tls(pusher_environment(&stand_in, 7_000, 10))),
        ("watchdog", env!("CARGO_BIN_EXE_watchdog"), Vec::new(), watchdog_environment(&stand_in)),
    ];
    let mut lines = Vec::new();
    for (name, program, arguments, environment) in programs {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            times.push(Function::start(program, &arguments, &environment).await?.start_time);
        }
        times.sort_unstable();
        let [median, longest] = [times[STARTS / 2], times[STARTS - 1]].map(|time| time.as_secs_f64() * 1e3);
        // The bench's own program is not one that is uploaded.
        let zip = if arguments.is_empty() { format!("{:.2}", deflated_mb(program)?) } else { String::new() };
        lines.push([name.to_owned(), format!("{median:.1}"), format!("{longest:.1}"), zip]);
    }
    let title = format!("From start to first poll, {STARTS} starts");
    table::print(&title, ["", "median (ms)", "longest (ms)", "package (MB)"], &lines);
    Ok(())
}

/// The size of the package that has only this program in it.
#[expect(clippy::cast_precision_loss, reason = "for the eye")]
fn deflated_mb(program: &str) -> Result<f64, Failure> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&std::fs::read(program)?)?;
    Ok(encoder.finish()?.len() as f64 / 1e6)
}

/// With the management API's true scheme, whose certificate authorities take their time to read.
fn tls(mut environment: BTreeMap<String, String>) -> BTreeMap<String, String> {
    environment
        .insert("SUMU_MANAGEMENT_ENDPOINT".into(), "https://api.execute-api.us-east-1.amazonaws.com/live".into());
    environment
}

fn authorizer_environment(stand_in: &StandIn) -> BTreeMap<String, String> {
    let issuer = Issuer { jwks_uri: "https://issuer.example/jwks.json".into(), issuer: None, audiences: Vec::new() };
    let settings = AuthorizerSettings {
        issuers: vec![issuer],
        verify_expiration: true,
        leeway_seconds: 30,
        principal_claim: "sub".into(),
        token_sources: vec![TokenSource::QueryString],
    };
    with(stand_in, &settings)
}

fn routes_environment(stand_in: &StandIn) -> BTreeMap<String, String> {
    let settings = RoutesSettings {
        connections_table: "connections".into(),
        connection_ttl_seconds: 7_200,
        messages_queue_url: stand_in.queue_url("messages"),
        messages_topic_arn: "arn:aws:sns:us-east-1:000000000000:messages".into(),
    };
    with(stand_in, &settings)
}

/// A watchdog's environment.
pub fn watchdog_environment(stand_in: &StandIn) -> BTreeMap<String, String> {
    let settings = WatchdogSettings {
        connections_table: "connections".into(),
        presence_table: "presence".into(),
        presence_source: PresenceSource::Queue,
        messages_queue_url: stand_in.queue_url("messages"),
        messages_topic_arn: "arn:aws:sns:us-east-1:000000000000:messages".into(),
        departures: None,
    };
    with(stand_in, &settings)
}

fn with(stand_in: &StandIn, settings: &impl Settings) -> BTreeMap<String, String> {
    let mut environment = environment(stand_in);
    environment.extend(settings.environment());
    environment
}
