//! `xos order` of orders that go to the book later, in parts, in another one's place, or with exits of their own.

use clap::{Args, ValueEnum};
use xos_api::people::Decimal;
use xos_api::{MarketInfo, OrderRequest, PlanRequest, ReplaceRequest, Wait};
use xos_types::{
    Crossing, Nonce, Order, OrderKind, Pace, Plan, SelfTrade, Side, Ticks, Trigger, TriggerSource, TriggerWhen,
};

use crate::error::CliError;
use crate::order::{price_in_ticks, size_in_lots};

/// Milliseconds, which the wire has, in a second.
const MS: u32 = 1_000;

/// When an order goes to the book, and in which parts. None of it is signed.
#[derive(Args)]
#[command(next_help_heading = "Later, in parts, or in another one's place")]
pub(crate) struct PlanFlags {
    /// Wait until the mark price is here or higher
    #[arg(long, value_name = "PRICE", conflicts_with = "when_below")]
    when_above: Option<Decimal>,
    /// Wait until the mark price is here or lower
    #[arg(long, value_name = "PRICE")]
    when_below: Option<Decimal>,
    /// Look at the index price instead of the mark; outcomes have none
    #[arg(long)]
    on_index: bool,
    /// Sleep until that order of yours fills, and never be of more than it filled
    #[arg(long, value_name = "NONCE")]
    after: Option<Nonce>,
    /// That order of yours and this one exclude each other
    #[arg(long, value_name = "NONCE")]
    excludes: Option<Nonce>,
    /// Show so many shares at a time (an iceberg)
    #[arg(long, value_name = "SHARES", conflicts_with = "slices")]
    show: Option<Decimal>,
    /// Go in so many slices (a TWAP)
    #[arg(long, value_name = "NUMBER", requires = "every")]
    slices: Option<u16>,
    /// Seconds from one slice to the next
    #[arg(long, value_name = "SECONDS", requires = "slices")]
    every: Option<u32>,
    /// Leave with a profit at this price: a reduce-only order that follows this one
    #[arg(long, value_name = "PRICE", conflicts_with = "replaces")]
    take_profit: Option<Decimal>,
    /// Leave at any price once the mark is here: a reduce-only order that follows this one
    #[arg(long, value_name = "PRICE", conflicts_with = "replaces")]
    stop_loss: Option<Decimal>,
    /// Take that order's place; if that one waits, this one waits for the same unless you say otherwise
    #[arg(long, value_name = "NONCE")]
    replaces: Option<Nonce>,
    /// What happens when it meets an order of your own account
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Own::CancelOther)]
    self_trade: Own,
    /// If it is post-only and would trade, rest at the nearest price at which it does not
    #[arg(long)]
    slide: bool,
}

/// What happens to two orders of one account that meet.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Own {
    /// The one that rests is cancelled
    #[default]
    CancelOther,
    /// This one is cancelled
    CancelThis,
    /// Both are cancelled
    CancelBoth,
    /// Both lose the shares of the smaller one
    Decrement,
}

/// What is to be asked of the node.
pub(crate) enum Asked {
    /// A plain order.
    Plain,
    /// These, in this order.
    Planned(Vec<(Order, Plan)>),
    /// One in another one's place.
    InPlaceOf(Nonce, Option<Wait>),
}

impl PlanFlags {
    /// What an order comes to with these flags.
    pub(crate) fn asked(&self, order: &Order, market: &MarketInfo, decimals: u8) -> Result<Asked, CliError> {
        let (trigger, pace) = (self.trigger(market)?, self.pace(market, decimals)?);
        if let Some(replaces) = self.replaces {
            if self.after.is_some() || self.excludes.is_some() {
                return Err(CliError::usage(
                    "an order that replaces another follows and excludes what that one did; leave out --after and --excludes",
                ));
            }
            let says_how = trigger.is_some() || pace != Pace::Whole;
            return Ok(Asked::InPlaceOf(replaces, says_how.then_some(Wait { trigger, pace })));
        }
        let plan = Plan { after: self.after, trigger, cancels: self.excludes, pace };
        // Exits first: then no fill is too fast for them.
        let mut orders = self.exits(order, market)?;
        let has_instructions = self.slide || self.self_trade != Own::default();
        if orders.is_empty() && plan == Plan::default() && !has_instructions {
            return Ok(Asked::Plain);
        }
        orders.push((*order, plan));
        Ok(Asked::Planned(orders))
    }

    fn trigger(&self, market: &MarketInfo) -> Result<Option<Trigger>, CliError> {
        let source = if self.on_index { TriggerSource::Index } else { TriggerSource::Mark };
        let (when, price) = match (self.when_above, self.when_below) {
            (Some(price), _) => (TriggerWhen::AtOrAbove, price),
            (None, Some(price)) => (TriggerWhen::AtOrBelow, price),
            (None, None) if self.on_index => {
                return Err(CliError::usage("at which index price? Give --when-above or --when-below"));
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Trigger { source, when, price: price_in_ticks(price, market)? }))
    }

    fn pace(&self, market: &MarketInfo, decimals: u8) -> Result<Pace, CliError> {
        Ok(match (self.show, self.slices, self.every) {
            (Some(show), ..) => Pace::Iceberg { display: size_in_lots(show, market, decimals)? },
            (None, Some(slices), Some(every)) => Pace::Twap { slices, interval: every.saturating_mul(MS) },
            _ => Pace::Whole,
        })
    }

    /// Orders that close what this one opens: they follow it and share what it filled.
    fn exits(&self, entry: &Order, market: &MarketInfo) -> Result<Vec<(Order, Plan)>, CliError> {
        let side = entry.side.opposite();
        let exit = |kind, price: Ticks, ahead: u64| Order {
            side,
            kind,
            price,
            reduce_only: true,
            nonce: Nonce(entry.nonce.0.saturating_add(ahead)),
            ..*entry
        };
        let after = Some(entry.nonce);
        let mut exits = Vec::new();
        if let Some(price) = self.take_profit {
            let order = exit(OrderKind::GoodTillCancelled, price_in_ticks(price, market)?, 1);
            exits.push((order, Plan { after, ..Plan::default() }));
        }
        if let Some(price) = self.stop_loss {
            let (when, worst) = match side {
                Side::Sell => (TriggerWhen::AtOrBelow, market.lowest),
                Side::Buy => (TriggerWhen::AtOrAbove, market.highest),
            };
            let trigger = Trigger { source: TriggerSource::Mark, when, price: price_in_ticks(price, market)? };
            let cancels = exits.first().map(|(profit, _): &(Order, Plan)| profit.nonce);
            let order = exit(OrderKind::ImmediateOrCancel, worst, 2);
            exits.push((order, Plan { after, trigger: Some(trigger), cancels, pace: Pace::Whole }));
        }
        Ok(exits)
    }

    pub(crate) fn plan_request(&self, order: OrderRequest, plan: Plan) -> PlanRequest {
        PlanRequest { order, plan, self_trade: self.self_trade(), crossing: self.crossing() }
    }

    pub(crate) fn replacement(&self, replaces: Nonce, order: OrderRequest, wait: Option<Wait>) -> ReplaceRequest {
        ReplaceRequest { replaces, order, wait, self_trade: self.self_trade(), crossing: self.crossing() }
    }

    fn self_trade(&self) -> SelfTrade {
        match self.self_trade {
            Own::CancelOther => SelfTrade::CancelMaker,
            Own::CancelThis => SelfTrade::CancelTaker,
            Own::CancelBoth => SelfTrade::CancelBoth,
            Own::Decrement => SelfTrade::Decrement,
        }
    }

    fn crossing(&self) -> Crossing {
        if self.slide { Crossing::Slide } else { Crossing::Refuse }
    }
}
