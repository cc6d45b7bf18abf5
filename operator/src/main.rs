//! `sumu-operator`: see `--help`.

use std::future::Future;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use kube::CustomResourceExt as _;
use sumu_operator::arguments::{Arguments, Command, PackageArguments};
use sumu_operator::sumu_stack::SumuStack;
use sumu_operator::{controller, explain, packages, ready, reference, telemetry, uninstall};

/// What `plan --detailed-exitcode` and `iam --check` end with when not everything is in place.
const NOT_IN_PLACE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            // Nobody is there to hear that nobody could be told.
            let _ = told.print();
            // Not clap's own 2, which `plan` has another meaning for.
            return if told.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            tell(&*error);
            ExitCode::FAILURE
        }
    }
}

fn tell(error: &dyn std::error::Error) {
    eprintln!("sumu-operator: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        eprintln!("  because: {next}");
        cause = next.source();
    }
}

/// Writes to the standard output. Whoever reads no further has what they want.
fn say(text: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(std::io::Error::new(error.kind(), format!("cannot write to the standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Says what was told, and ends with whether everything is in place where that is asked for.
fn answer(told: &explain::Told, is_strict: bool) -> Result<ExitCode, Box<dyn std::error::Error>> {
    say(&told.text)?;
    Ok(if is_strict && !told.is_settled { NOT_IN_PLACE.into() } else { ExitCode::SUCCESS })
}

fn run(command: Command) -> Result<ExitCode, Box<dyn std::error::Error>> {
    match command {
        Command::Crd => say(&serde_saphyr::to_string(&SumuStack::crd())?)?,
        Command::Reference => say(&reference::reference())?,
        Command::Package(PackageArguments { from, to, architecture }) => {
            packages::package(&from, &to, architecture)?;
            say(&packages::hashes(&to, architecture)?)?;
        }
        Command::Iam(arguments) if arguments.check => {
            return answer(&in_runtime(explain::check::check(&arguments))??, true);
        }
        Command::Iam(arguments) if arguments.stack.is_some() => {
            say(&in_runtime(explain::roles(&arguments))??.text)?;
        }
        Command::Iam(arguments) => say(&format!("{:#}\n", explain::operator_policy(&arguments)))?,
        Command::Plan(arguments) => {
            return answer(&in_runtime(explain::plan(&arguments))??, arguments.detailed_exitcode);
        }
        Command::Run(arguments) => {
            telemetry::start(arguments.log_format, &arguments.log)?;
            in_runtime(controller::run(arguments))??;
        }
        Command::GuardUninstall(arguments) => {
            if let Err(refusal) = in_runtime(uninstall::guard(&arguments.watched()))? {
                tell(&refusal);
                if let Some(way_back) = arguments.way_back() {
                    eprintln!("{way_back}");
                }
                return Ok(ExitCode::FAILURE);
            }
            say("no SumuStack is left\n")?;
        }
        Command::Ready(arguments) => {
            in_runtime(ready::ask(&arguments.address, arguments.within()))??;
            say(&format!("{} is ready\n", arguments.address))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn in_runtime<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // The work is waiting for AWS; more threads only cost memory.
        .worker_threads(2)
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}
