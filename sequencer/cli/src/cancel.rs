//! `xos cancel`

use clap::Args;
use xos_api::{Ack, CancelAllRequest, CancelRequest, OrderOutcome, XosApiClient};
use xos_auth::signature_bytes;
use xos_types::{AccountId, Nonce};

use crate::error::CliError;
use crate::output::Output;
use crate::session::{KeyFlags, NodeFlags};

/// Cancel resting orders
#[derive(Args)]
#[command(after_help = "Examples:
  xos cancel 12
  xos cancel 12 13 14 --account 7
  xos cancel --all               raises the account's nonce floor, so unseen orders below it are dead too")]
pub(crate) struct Cancel {
    /// Numbers of the orders
    #[arg(value_name = "NONCE", required_unless_present = "all", conflicts_with = "all")]
    nonces: Vec<Nonce>,
    /// Every order of the account
    #[arg(long)]
    all: bool,
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

impl Cancel {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let key = self.key.key()?;
        let session = self.node.connect().await?;
        let domain = session.domain();
        let info = session.account(self.account, &key).await?;
        let account = info.account;
        if self.all {
            let message = xos_types::CancelAll { account, below: info.next_nonce };
            let signature = key.sign_typed(&domain, message).signature;
            let request =
                CancelAllRequest { account, below: message.below, signature: signature_bytes(&signature).into() };
            let ack = session.ask(session.client.cancel_all(request)).await?;
            return self.output.print(&ack, |ack: &Ack| {
                format!("{} lots taken out of the books; nonces below {} are spent", ack.remaining, message.below)
            });
        }
        let requests: Vec<CancelRequest> = self
            .nonces
            .iter()
            .map(|&nonce| {
                let signature = key.sign_typed(&domain, xos_types::Cancel { account, nonce }).signature;
                CancelRequest { account, nonce, signature: signature_bytes(&signature).into() }
            })
            .collect();
        let outcomes = session.ask(session.client.cancel_orders(requests)).await?;
        self.output.print(&outcomes, |outcomes| {
            let line = |(nonce, outcome): (&Nonce, &OrderOutcome)| match outcome {
                OrderOutcome::Ok(ack) => format!("order {nonce}: {} lots taken out of the book\n", ack.remaining),
                OrderOutcome::Error(error) => format!("order {nonce}: {}\n", error.message),
            };
            self.nonces.iter().zip(outcomes).map(line).collect()
        })?;
        let failed = outcomes.iter().filter(|outcome| matches!(outcome, OrderOutcome::Error(_))).count();
        if failed > 0 {
            return Err(CliError::Refused(format!("{failed} of {} orders were not cancelled", outcomes.len())));
        }
        Ok(())
    }
}
