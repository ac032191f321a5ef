//! `xos amend`

use clap::Args;
use xos_api::people::Decimal;
use xos_api::{AmendRequest, OrderOutcome, XosApiClient};
use xos_auth::signature_bytes;
use xos_types::{AccountId, Lots, Nonce};

use crate::error::CliError;
use crate::order::size_in_lots;
use crate::output::Output;
use crate::session::{KeyFlags, NodeFlags};

/// Make an order smaller; it keeps its place in the queue
///
/// The size counts what has filled: an order of 10 shares of which 4 have filled and that is amended to 6 can still fill 2.
#[derive(Args)]
#[command(after_help = "Examples:
  xos amend 12 --size 6
  xos amend 12 --lots 600 --account 7")]
pub(crate) struct Amend {
    /// The order's number
    #[arg(value_name = "NONCE")]
    nonce: Nonce,
    /// How many shares it is to have, those that have filled included
    #[arg(long, value_name = "SHARES", required_unless_present = "lots", conflicts_with = "lots")]
    size: Option<Decimal>,
    /// The same in lots
    #[arg(long, value_name = "LOTS")]
    lots: Option<u64>,
    /// Your account's number, if you have several
    #[arg(long, value_name = "NUMBER")]
    account: Option<AccountId>,
    #[command(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    output: Output,
}

impl Amend {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let key = self.key.key()?;
        let session = self.node.connect().await?;
        let account = session.account(self.account, &key).await?.account;
        let size = match (self.size, self.lots) {
            (Some(size), _) => {
                let resting = session.ask(session.client.open_orders(account)).await?;
                let market = resting.iter().find(|order| order.nonce == self.nonce).map(|order| order.market);
                let market = match market {
                    Some(market) => Some(market),
                    None => {
                        let planned = session.ask(session.client.planned_orders(account)).await?;
                        planned.iter().find(|order| order.nonce == self.nonce).map(|order| order.market)
                    }
                };
                let Some(market) = market else {
                    return Err(CliError::usage(format!("account {account} has no order {}", self.nonce)));
                };
                let (_, market) = session.market(&market.to_string()).await?;
                size_in_lots(size, &market, session.info.token_decimals)?
            }
            (None, Some(lots)) => Lots(lots),
            (None, None) => return Err(CliError::usage("how much is to be left? Give --size or --lots")),
        };
        let message = xos_types::Amend { account, nonce: self.nonce, size };
        let signature = signature_bytes(&key.sign_typed(&session.domain(), message).signature).into();
        let request = AmendRequest { account, nonce: self.nonce, size, signature };
        let outcomes = session.ask(session.client.amend_orders(vec![request])).await?;
        self.output.print(&outcomes, |outcomes| {
            let line = |outcome: &OrderOutcome| match outcome {
                OrderOutcome::Ok(ack) => format!("order {}: {} lots taken off\n", self.nonce, ack.remaining),
                OrderOutcome::Error(error) => format!("order {}: {}\n", self.nonce, error.message),
            };
            outcomes.iter().map(line).collect()
        })?;
        if outcomes.iter().any(|outcome| matches!(outcome, OrderOutcome::Error(_))) {
            return Err(CliError::Refused(format!("order {} was not amended", self.nonce)));
        }
        Ok(())
    }
}
