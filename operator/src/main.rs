//! `sumu-operator`: see `--help`.

use std::future::Future;
use std::process::ExitCode;

use clap::Parser as _;
use kube::CustomResourceExt as _;
use sumu_operator::arguments::{Arguments, Command, IamArguments, PackageArguments};
use sumu_operator::permissions::{self, Place};
use sumu_operator::sumu_stack::SumuStack;
use sumu_operator::{controller, packages, ready, reference, telemetry, uninstall};

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sumu-operator: {error}");
            let mut cause = error.source();
            while let Some(next) = cause {
                eprintln!("  because: {next}");
                cause = next.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Command::Crd => print!("{}", serde_saphyr::to_string(&SumuStack::crd())?),
        Command::Reference => print!("{}", reference::reference()),
        Command::Package(PackageArguments { from, to, architecture }) => {
            packages::package(&from, &to, architecture)?;
            print!("{}", packages::hashes(&to, architecture)?);
        }
        Command::Iam(IamArguments { account, region, partition }) => {
            println!("{:#}", permissions::policy(&Place { partition, region, account }));
        }
        Command::Run(arguments) => {
            telemetry::start(arguments.log_format, &arguments.log)?;
            wait_for(controller::run(arguments))??;
        }
        Command::GuardUninstall(arguments) => {
            wait_for(uninstall::guard(&arguments.watched()))??;
            println!("no SumuStack is left");
        }
        Command::Ready(arguments) => {
            wait_for(ready::ask(&arguments.address, arguments.within()))??;
            println!("{} is ready", arguments.address);
        }
    }
    Ok(())
}

fn wait_for<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    // The work is waiting for AWS; more threads only cost memory.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok(runtime.block_on(work))
}
