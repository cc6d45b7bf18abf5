//! The strict gateway as a program: before an emulator that runs already, at AWS's own pace.

use std::net::SocketAddr;

use clap::Parser;
use sumu_tests::gateway::{Gateway, Pace, Settings, rule};
use sumu_tests::{Context, Result};

/// A proxy before an AWS emulator that refuses what AWS refuses.
#[derive(Parser)]
struct Arguments {
    /// Prints the rules with their sources, as in `docs/fidelity.md`, and ends.
    #[arg(long)]
    list_rules: bool,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:4560")]
    listen: SocketAddr,
    /// Where the emulator listens.
    #[arg(long, default_value = "127.0.0.1:4566")]
    emulator: SocketAddr,
    /// A rule to switch off; may be given more than once.
    #[arg(long, value_name = "RULE")]
    off: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.list_rules {
        print!("{}", rule::table());
        return Ok(());
    }
    let settings = Settings { pace: Pace::AWS, off: arguments.off, ..Settings::default() };
    let gateway = Gateway::start(arguments.listen, arguments.emulator, settings).await?;
    println!("http://{} before http://{}", gateway.address(), arguments.emulator);
    tokio::signal::ctrl_c().await.context("cannot wait for the end")
}
