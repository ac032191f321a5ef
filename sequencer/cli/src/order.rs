//! `xos order`

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use xos_api::people::{Decimal, DecimalError, ratio, tokens};
use xos_api::{Ack, MarketInfo, OrderOutcome, OrderRequest, XosApiClient};
use xos_auth::signature_bytes;
use xos_types::{AccountId, Lots, MarketId, Nonce, OrderKind, Ppm, Side, Ticks, TimeMs};

use crate::error::CliError;
use crate::markets::{price, shares};
use crate::output::Output;
use crate::plan::{Asked, PlanFlags};
use crate::session::{KeyFlags, NodeFlags, ticks};

/// Place a signed order
///
/// An outcome's share pays 1 token if it happens. To buy at 0.2 is to say that it happens at least one time in five.
#[derive(Args)]
#[command(after_help = "Examples:
  xos order buy champion/spain --price 0.2 --size 10
  xos order sell 256 --price 0.25 --lots 500 --kind post-only
  xos order buy \"final, after 90 minutes/draw\" --ticks 310 --size 25 --kind ioc --expires-in 30
  xos order buy 256 --price 0.2 --size 10 --take-profit 0.3 --stop-loss 0.15
  xos order sell 256 --price 0.01 --size 10 --kind ioc --reduce-only --when-below 0.15
  xos order buy 256 --price 0.2 --size 500 --slices 20 --every 60
  xos order sell 256 --price 0.26 --size 10 --replaces 12")]
pub(crate) struct Order {
    /// buy or sell
    #[arg(value_name = "SIDE")]
    side: SideName,
    /// Number, or event/outcome
    #[arg(value_name = "MARKET")]
    market: String,
    /// Worst price you accept, tokens per share, like 0.45
    #[arg(long, value_name = "PRICE", required_unless_present = "ticks", conflicts_with = "ticks")]
    price: Option<Decimal>,
    /// The same in ticks
    #[arg(long, value_name = "TICKS")]
    ticks: Option<u64>,
    /// How many shares
    #[arg(long, value_name = "SHARES", required_unless_present = "lots", conflicts_with = "lots")]
    size: Option<Decimal>,
    /// The same in lots
    #[arg(long, value_name = "LOTS")]
    lots: Option<u64>,
    /// What becomes of the part that does not fill at once
    #[arg(long, value_enum, default_value_t = Kind::Gtc)]
    kind: Kind,
    /// Only make a position smaller
    #[arg(long)]
    reduce_only: bool,
    /// Seconds after which it may no longer fill
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u64>,
    /// Highest fee you accept, parts per million of value; by default what the market charges
    #[arg(long, value_name = "PPM")]
    max_fee: Option<u32>,
    /// Your account's number, if you have several
    #[arg(long, value_name = "NUMBER")]
    account: Option<AccountId>,
    /// The order's number within the account; by default the next free one
    #[arg(long, value_name = "NUMBER")]
    nonce: Option<Nonce>,
    #[command(flatten)]
    plan: PlanFlags,
    #[command(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum SideName {
    Buy,
    Sell,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// It rests in the book until it is filled or cancelled
    Gtc,
    /// Immediate or cancel: the rest is dropped
    Ioc,
    /// Fill or kill: all of it at once, or nothing
    Fok,
    /// Refused if any of it would fill at once
    PostOnly,
}

impl Order {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let key = self.key.key()?;
        let session = self.node.connect().await?;
        let (_, market) = session.market(&self.market).await?;
        let decimals = session.info.token_decimals;
        let account = session.account(self.account, &key).await?;
        let message = xos_types::Order {
            account: account.account,
            market: market.market,
            side: match self.side {
                SideName::Buy => Side::Buy,
                SideName::Sell => Side::Sell,
            },
            kind: match self.kind {
                Kind::Gtc => OrderKind::GoodTillCancelled,
                Kind::Ioc => OrderKind::ImmediateOrCancel,
                Kind::Fok => OrderKind::FillOrKill,
                Kind::PostOnly => OrderKind::PostOnly,
            },
            reduce_only: self.reduce_only,
            size: self.size(&market, decimals)?,
            price: self.price(&market)?,
            nonce: self.nonce.unwrap_or(account.next_nonce),
            expiry: expiry(self.expires_in),
            max_fee: self.max_fee.map_or(market.taker_fee.max(market.maker_fee.fee()), Ppm),
            builder: 0,
            builder_fee: Ppm(0),
        };
        let domain = session.domain();
        let sign = |order: xos_types::Order| {
            OrderRequest::new(order, signature_bytes(&key.sign_typed(&domain, order).signature).into())
        };
        let (nonces, outcomes) = match self.plan.asked(&message, &market, decimals)? {
            Asked::Plain => {
                let ack = session.ask(session.client.place_order(sign(message))).await?;
                return self.output.print(&ack, |ack| describe(ack, &market, message.nonce, decimals));
            }
            Asked::Planned(orders) => {
                let requests = orders.iter().map(|(order, plan)| self.plan.plan_request(sign(*order), *plan)).collect();
                let nonces: Vec<Nonce> = orders.iter().map(|(order, _)| order.nonce).collect();
                (nonces, session.ask(session.client.plan_orders(requests)).await?)
            }
            Asked::InPlaceOf(replaces, wait) => {
                let request = self.plan.replacement(replaces, sign(message), wait);
                (vec![message.nonce], session.ask(session.client.replace_orders(vec![request])).await?)
            }
        };
        self.output.print(&outcomes, |outcomes| {
            let line = |(nonce, outcome): (&Nonce, &OrderOutcome)| match outcome {
                OrderOutcome::Ok(ack) => describe(ack, &market, *nonce, decimals),
                OrderOutcome::Error(error) => format!("order {nonce}: {}\n", error.message),
            };
            nonces.iter().zip(outcomes).map(line).collect()
        })?;
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, OrderOutcome::Error(_))).count();
        if refused > 0 {
            return Err(CliError::Refused(format!("{refused} of {} orders were not taken", outcomes.len())));
        }
        Ok(())
    }

    fn price(&self, market: &MarketInfo) -> Result<Ticks, CliError> {
        match (self.price, self.ticks) {
            (Some(price), _) => price_in_ticks(price, market),
            (None, Some(ticks)) => Ok(Ticks(ticks)),
            (None, None) => Err(CliError::usage("at what price? Give --price or --ticks")),
        }
    }

    fn size(&self, market: &MarketInfo, decimals: u8) -> Result<Lots, CliError> {
        match (self.size, self.lots) {
            (Some(size), _) => size_in_lots(size, market, decimals),
            (None, Some(lots)) => Ok(Lots(lots)),
            (None, None) => Err(CliError::usage("how much? Give --size or --lots")),
        }
    }
}

/// A decimal price in ticks; one between two ticks, or outside the market's, names the nearest.
pub(crate) fn price_in_ticks(price: Decimal, market: &MarketInfo) -> Result<Ticks, CliError> {
    let decimal = |units: u128| ratio(units, ticks(market));
    let refuse = |nearest: &str| {
        let range = (decimal(market.lowest.0.into()), decimal(market.highest.0.into()));
        let MarketId(number) = market.market;
        CliError::usage(format!(
            "market {number} has no price {price}: prices run from {} to {} in steps of {}; nearest: {nearest}",
            range.0, range.1, market.tick_size
        ))
    };
    let units = price.in_units(ticks(market), 1);
    let (lowest, highest) = (u128::from(market.lowest.0), u128::from(market.highest.0));
    match units {
        Ok(units) if units < lowest => Err(refuse(&decimal(lowest))),
        Ok(units) if units > highest => Err(refuse(&decimal(highest))),
        Ok(units) => u64::try_from(units).map(Ticks).map_err(|_| refuse(&decimal(highest))),
        Err(DecimalError::BetweenUnits { above, .. }) if above <= lowest => Err(refuse(&decimal(lowest))),
        Err(DecimalError::BetweenUnits { below, .. }) if below >= highest => Err(refuse(&decimal(highest))),
        Err(DecimalError::BetweenUnits { below, above, .. }) => {
            Err(refuse(&format!("{} and {}", decimal(below), decimal(above))))
        }
        Err(other) => Err(CliError::usage(other.to_string())),
    }
}

pub(crate) fn size_in_lots(size: Decimal, market: &MarketInfo, decimals: u8) -> Result<Lots, CliError> {
    let one = 10_u128.checked_pow(decimals.into()).unwrap_or(u128::MAX);
    let lots = size.in_units(one, ticks(market) * u128::from(market.quantum));
    let shares =
        |lots: u128| u64::try_from(lots).map_or_else(|_| lots.to_string(), |lots| shares(market, Lots(lots), decimals));
    match lots {
        Ok(lots) => u64::try_from(lots).map(Lots).map_err(|_| CliError::usage(format!("{size} shares are too many"))),
        Err(DecimalError::BetweenUnits { below, above, .. }) => Err(CliError::usage(format!(
            "{size} shares are no whole number of lots of {}; nearest: {} and {}",
            market.lot_size,
            shares(below),
            shares(above)
        ))),
        Err(other) => Err(CliError::usage(other.to_string())),
    }
}

/// Unix milliseconds `seconds` from now; 0 for no end.
pub(crate) fn expiry(seconds: Option<u64>) -> TimeMs {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    TimeMs(seconds.map_or(0, |seconds| now.saturating_add(seconds.saturating_mul(1000))))
}

fn describe(ack: &Ack, market: &MarketInfo, nonce: Nonce, decimals: u8) -> String {
    let mut text = format!(
        "order {nonce} accepted: {} filled, {} resting (log position {})\n",
        shares(market, ack.filled, decimals),
        shares(market, ack.remaining, decimals),
        ack.receipt.sequence
    );
    for fill in &ack.fills {
        text.push_str(&format!(
            "  {} at {} (fee {})\n",
            shares(market, fill.size, decimals),
            price(market, fill.price),
            tokens(fill.fee.0, decimals)
        ));
    }
    text
}
