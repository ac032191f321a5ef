//! `xos deposit`

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use xos_api::people::{Decimal, tokens};
use xos_api::{AccountInfo, XosApiClient};
use xos_types::{AccountId, B256};

use crate::error::CliError;
use crate::output::Output;
use crate::session::{ChainFlags, KeyFlags, NodeFlags, Session};

const POLL: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(180);

/// Deposit tokens through the contract, and wait until they can be traded with
#[derive(Args)]
#[command(after_help = "Examples:
  xos deposit 100 --mint            mint 100 simulated tokens and deposit them into a new account, or your only one
  xos deposit 25.5 --account 7")]
pub(crate) struct Deposit {
    /// Whole tokens, like 100 or 25.5
    #[arg(value_name = "AMOUNT")]
    amount: Decimal,
    /// Mint the tokens first (simulated tokens only)
    #[arg(long)]
    mint: bool,
    /// Account to credit; by default your only one, or a new one
    #[arg(long, value_name = "NUMBER", conflicts_with = "new")]
    account: Option<AccountId>,
    /// Open a further account
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    chain: ChainFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Credited {
    transaction: B256,
    account: AccountInfo,
}

impl Deposit {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let key = self.key.key()?;
        let session = self.node.connect().await?;
        let amount = session.atoms(self.amount)?;
        let account = self.account(&session, &key).await?;
        let wallet = self.chain.wallet(key, &session).await?;
        if self.mint {
            wallet.mint(wallet.address(), amount).await?;
        }
        let deposited = wallet.deposit(account, amount).await?;
        if !self.output.json {
            println!("deposited in {}; waiting for the next frame", deposited.transaction);
        }
        wait_for_inbox(&session, deposited.inbox_index).await?;
        let account = session.ask(session.client.account(deposited.account)).await?;
        let decimals = session.info.token_decimals;
        self.output.print(&Credited { transaction: deposited.transaction, account }, |credited| {
            let account = &credited.account;
            format!(
                "account {} credited: cash {}, available {}",
                account.account,
                tokens(account.cash.0, decimals),
                tokens(account.available.0, decimals)
            )
        })
    }

    async fn account(&self, session: &Session, key: &xos_auth::Key) -> Result<Option<AccountId>, CliError> {
        if self.new || self.account.is_some() {
            return Ok(self.account);
        }
        let owned = session.ask(session.client.accounts_of(key.address())).await?;
        match owned.as_slice() {
            [] => Ok(None),
            [account] => Ok(Some(*account)),
            _ => {
                Err(CliError::usage("you have several accounts; choose one with --account, or open another with --new"))
            }
        }
    }
}

async fn wait_for_inbox(session: &Session, index: u64) -> Result<(), CliError> {
    let started = Instant::now();
    loop {
        let settlement = session.ask(session.client.info()).await?.settlement;
        if settlement.inbox_consumed > index {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            return Err(CliError::Refused(format!(
                "the node has not credited the deposit (inbox item {index}; it stands at {}{}); the money is safe in the \
                 contract, ask again with `xos account`",
                settlement.inbox_consumed,
                settlement.halted.map(|reason| format!(", halted: {reason}")).unwrap_or_default(),
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}
