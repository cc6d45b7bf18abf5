//! `sumu-operator`: see `--help`.

use std::process::ExitCode;

use clap::Parser as _;
use kube::CustomResourceExt as _;
use sumu_operator::arguments::{Arguments, Command, IamArguments, PackageArguments};
use sumu_operator::permissions::{self, Place};
use sumu_operator::sumu_stack::SumuStack;
use sumu_operator::{controller, packages, reference, telemetry};

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
            tokio::runtime::Builder::new_multi_thread()
                // The work is waiting for AWS; more threads only cost memory.
                .worker_threads(2)
                .enable_all()
                .build()?
                .block_on(controller::run(arguments))?;
        }
    }
    Ok(())
}
