//! Removes what a run of `make test-aws` has left in an account: `sweep <run>`.

use sumu_tests::account::{Account, sweep};
use sumu_tests::{Context, Result};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let run = std::env::args().nth(1).context("which run? Its name begins with itest")?;
    let account = Account::of(&run).await?;
    let found = sweep::sweep(account.sdk(), &account.prefix()).await?;
    if found.is_empty() {
        println!("{run} has left nothing in {}", account.region());
    } else {
        println!("removed from {}:\n{found}", account.region());
    }
    Ok(())
}
