//! `xos withdraw`

use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use xos_api::people::{Decimal, DecimalError, tokens};
use xos_api::{Ack, WithdrawRequest, XosApiClient};
use xos_auth::signature_bytes;
use xos_chain::{At, Wallet};
use xos_types::{AccountId, Atoms};

use crate::error::CliError;
use crate::order::expiry;
use crate::output::Output;
use crate::session::{ChainFlags, KeyFlags, NodeFlags, Session};

const POLL: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(180);

/// Withdraw to your address, and wait until the chain has paid
#[derive(Args)]
#[command(after_help = "Examples:
  xos withdraw 25.5
  xos withdraw all --account 7")]
pub(crate) struct Withdraw {
    /// Whole tokens, like 25.5, or `all` for what is free
    #[arg(value_name = "AMOUNT")]
    amount: Amount,
    /// Seconds after which it may no longer settle
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u64>,
    /// Your account's number, if you have several
    #[arg(long, value_name = "NUMBER")]
    account: Option<AccountId>,
    #[command(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    chain: ChainFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    output: Output,
}

/// How much leaves an account.
#[derive(Clone, Copy)]
pub(crate) enum Amount {
    All,
    Tokens(Decimal),
}

impl FromStr for Amount {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::Tokens) }
    }
}

impl Amount {
    /// Its atoms, of an account in which so many are free.
    ///
    /// # Errors
    /// If it is finer than an atom, or nothing.
    pub(crate) fn atoms(self, session: &Session, free: Atoms) -> Result<u128, CliError> {
        let atoms = match self {
            Self::Tokens(amount) => session.atoms(amount)?,
            Self::All => u128::try_from(free.0).unwrap_or(0),
        };
        if atoms == 0 {
            return Err(CliError::usage("that is nothing; `xos account` shows what is free"));
        }
        Ok(atoms)
    }
}

#[derive(Serialize)]
struct Paid {
    ack: Ack,
    batch: u64,
    amount: String,
    token_balance: String,
    claimable: String,
}

impl Withdraw {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let key = self.key.key()?;
        let session = self.node.connect().await?;
        let info = session.account(self.account, &key).await?;
        let amount = self.amount.atoms(&session, info.available)?;
        let wallet = self.chain.wallet(key.clone(), &session).await?;
        let message = xos_types::Withdraw {
            account: info.account,
            token: session.info.token,
            amount,
            nonce: info.next_nonce,
            expiry: expiry(self.expires_in),
        };
        let signature = key.sign_typed(&session.domain(), message).signature;
        let request = WithdrawRequest {
            account: message.account,
            token: message.token,
            amount,
            nonce: message.nonce,
            expiry: message.expiry,
            signature: signature_bytes(&signature).into(),
        };
        let ack = session.ask(session.client.withdraw(request)).await?;
        if !self.output.json {
            println!("accepted at log position {}; waiting for the chain", ack.receipt.sequence);
        }
        let batch = wait_for_batch(&session, &wallet, ack.receipt.sequence).await?;
        let paid = Paid {
            ack,
            batch,
            amount: amount.to_string(),
            token_balance: wallet.balance().await?.to_string(),
            claimable: wallet.chain().claimable(wallet.address(), message.token, At::Latest).await?.to_string(),
        };
        let decimals = session.info.token_decimals;
        self.output.print(&paid, |paid| {
            let money = |atoms: &str| atoms.parse().map_or_else(|_| atoms.to_owned(), |atoms| tokens(atoms, decimals));
            let mut text = format!(
                "paid {} to {} in batch {}; it now holds {} tokens",
                money(&paid.amount),
                wallet.address(),
                paid.batch,
                money(&paid.token_balance)
            );
            if paid.claimable != "0" {
                text.push_str(&format!(
                    "\nthe token refused a transfer: {} wait to be claimed",
                    money(&paid.claimable)
                ));
            }
            text
        })
    }
}

/// Number of the batch that settled the log up to `sequence`.
async fn wait_for_batch(session: &Session, wallet: &Wallet, sequence: u64) -> Result<u64, CliError> {
    let started = Instant::now();
    loop {
        let last = wallet.chain().last_batch(At::Latest).await?;
        if last.id > 0 && last.sequence >= sequence {
            return Ok(last.id);
        }
        if started.elapsed() > PATIENCE {
            let halted = session.ask(session.client.info()).await?.settlement.halted;
            return Err(CliError::Refused(format!(
                "the chain has not settled the withdrawal yet (it stands at log position {}{}); it is accepted and will be \
                 paid",
                last.sequence,
                halted.map(|reason| format!(", halted: {reason}")).unwrap_or_default(),
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}
