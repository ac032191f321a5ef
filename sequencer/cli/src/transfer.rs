//! `xos transfer`

use clap::{ArgGroup, Args};
use serde::Serialize;
use xos_api::people::tokens;
use xos_api::{Ack, TransferRequest, XosApiClient};
use xos_auth::signature_bytes;
use xos_types::{AccountId, Address};

use crate::error::CliError;
use crate::order::expiry;
use crate::output::Output;
use crate::session::{KeyFlags, NodeFlags};
use crate::withdraw::Amount;

/// Move money between your accounts
///
/// Your account for a market alone loses there what you put in and no more. The first transfer opens it.
#[derive(Args)]
#[command(group = ArgGroup::new("target").required(true))]
#[command(after_help = "Examples:
  xos transfer 50 --market champion/spain               into your account for that market alone
  xos transfer all --account 9223372049739678208 --to 3
  xos order buy champion/spain --price 0.2 --size 10 --account 9223372049739678208")]
pub(crate) struct Transfer {
    /// Whole tokens, like 25.5, or `all` for what is free
    #[arg(value_name = "AMOUNT")]
    amount: Amount,
    /// Number, or event/outcome, of the market whose account gets it
    #[arg(long, value_name = "MARKET", group = "target")]
    market: Option<String>,
    /// Number of the account that gets it
    #[arg(long, value_name = "NUMBER", group = "target")]
    to: Option<AccountId>,
    /// The account that it comes from, if you have several
    #[arg(long, value_name = "NUMBER")]
    account: Option<AccountId>,
    /// Seconds after which it may no longer settle
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u64>,
    #[command(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Sent {
    ack: Ack,
    to: AccountId,
    amount: String,
}

impl Transfer {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let key = self.key.key()?;
        let session = self.node.connect().await?;
        let from = session.account(self.account, &key).await?;
        let to = match (self.to, &self.market) {
            (Some(to), _) => to,
            (None, Some(market)) => from.account.parent().isolated(session.market(market).await?.1.market),
            (None, None) => return Err(CliError::usage("where to? Name a --market, or an account with --to")),
        };
        let amount = self.amount.atoms(&session, from.available)?;
        let message = xos_types::Transfer {
            account: from.account,
            gateway: Address::ZERO,
            to,
            token: session.info.token,
            amount,
            nonce: from.next_nonce,
            expiry: expiry(self.expires_in),
        };
        let signature = key.sign_typed(&session.domain(), message).signature;
        let request = TransferRequest {
            account: message.account,
            gateway: message.gateway,
            to,
            token: message.token,
            amount,
            nonce: message.nonce,
            expiry: message.expiry,
            signature: signature_bytes(&signature).into(),
        };
        let ack = session.ask(session.client.transfer(request)).await?;
        let sent = Sent { ack, to, amount: amount.to_string() };
        let decimals = session.info.token_decimals;
        self.output.print(&sent, |sent| {
            let money = i128::try_from(amount).map_or_else(|_| sent.amount.clone(), |atoms| tokens(atoms, decimals));
            let opening = if to.is_isolated() { "; one that was opened now trades from the next frame on" } else { "" };
            format!("sent {money} to account {to}{opening}")
        })
    }
}
