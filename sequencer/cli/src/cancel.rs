//! `xos cancel`

use clap::Args;
use xos_api::{
    Ack, CancelAfterRequest, CancelAllRequest, CancelManyRequest, CancelRequest, OrderOutcome, XosApiClient,
};
use xos_auth::signature_bytes;
use xos_types::{AccountId, MarketId, Nonce, Sides, VenueId};

use crate::error::CliError;
use crate::order::{SideName, expiry};
use crate::output::Output;
use crate::session::{KeyFlags, NodeFlags};

/// Cancel orders, resting or waiting
#[derive(Args)]
#[command(after_help = "Examples:
  xos cancel 12
  xos cancel 12 13 14 --account 7
  xos cancel --market champion/spain --side buy
  xos cancel --venue 1
  xos cancel --after 60          unless this is said again within a minute, everything is cancelled; 0 takes it back
  xos cancel --all               raises the account's nonce floor, so unseen orders below it are dead too")]
pub(crate) struct Cancel {
    /// Numbers of the orders
    #[arg(value_name = "NONCE", required_unless_present_any = ["all", "venue", "market", "side", "after"])]
    nonces: Vec<Nonce>,
    /// Every order of the account
    #[arg(long, conflicts_with_all = ["nonces", "venue", "market", "side", "after"])]
    all: bool,
    /// Every order on that venue
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["nonces", "after"])]
    venue: Option<VenueId>,
    /// Every order in that market: its number, or event/outcome
    #[arg(long, value_name = "MARKET", conflicts_with_all = ["nonces", "after"])]
    market: Option<String>,
    /// Every order of that side
    #[arg(long, value_enum, value_name = "SIDE", conflicts_with_all = ["nonces", "after"])]
    side: Option<SideName>,
    /// Every order so many seconds from now, unless you say so again before; 0 takes it back
    #[arg(long, value_name = "SECONDS", conflicts_with = "nonces")]
    after: Option<u64>,
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
        if let Some(seconds) = self.after {
            let time = expiry(Some(seconds).filter(|seconds| *seconds > 0));
            let message = xos_types::CancelAfter { account, time, nonce: info.next_nonce };
            let signature = signature_bytes(&key.sign_typed(&domain, message).signature).into();
            let request = CancelAfterRequest { account, time, nonce: info.next_nonce, signature };
            let ack = session.ask(session.client.cancel_after(request)).await?;
            return self.output.print(&ack, |_: &Ack| match seconds {
                0 => "the dead-man switch is off\n".to_owned(),
                _ => format!("in {seconds} seconds every order is cancelled, unless you say so again before\n"),
            });
        }
        if self.venue.is_some() || self.market.is_some() || self.side.is_some() {
            let market = match &self.market {
                Some(name) => session.market(name).await?.1.market,
                None => MarketId(0),
            };
            let sides = match self.side {
                Some(SideName::Buy) => Sides::Buy,
                Some(SideName::Sell) => Sides::Sell,
                None => Sides::Both,
            };
            let (venue, nonce) = (self.venue.unwrap_or_default(), info.next_nonce);
            let message = xos_types::CancelMany { account, venue, market, sides, nonce };
            let signature = signature_bytes(&key.sign_typed(&domain, message).signature).into();
            let request = CancelManyRequest { account, venue, market, sides, nonce, signature };
            let ack = session.ask(session.client.cancel_many(request)).await?;
            return self.output.print(&ack, |ack: &Ack| format!("{} lots taken out\n", ack.remaining));
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
