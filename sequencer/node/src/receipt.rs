//! The promise behind an acknowledgement, and what a command came to.

use std::sync::{Arc, OnceLock};

use xos_api::FillInfo;
use xos_api::people::ratio;
use xos_auth::{Domain, Key, LogHead};
use xos_types::{Command, Event, EventConfig, Hash, Lots, Order, Reject, Signature};

/// The end of the log after one window. Signed by whoever first needs the signature, which is never the sequencer's thread,
/// and once for all acknowledgements of the window.
#[derive(Debug)]
pub(crate) struct Head {
    /// Commands in the log.
    pub sequence: u64,
    /// Rolling hash there.
    pub log_hash: Hash,
    signature: OnceLock<Signature>,
    /// That of a later window which came onto the disk with this one.
    later: OnceLock<Arc<Head>>,
}

impl Head {
    pub(crate) fn new(sequence: u64, log_hash: Hash) -> Arc<Self> {
        Arc::new(Self { sequence, log_hash, signature: OnceLock::new(), later: OnceLock::new() })
    }

    /// Both are durable, so that a promise for the later one covers this one too, and one signature is made instead of two.
    pub(crate) fn goes_with(&self, later: &Arc<Self>) {
        if self.sequence < later.sequence {
            // What was said once stays.
            let _ = self.later.set(Arc::clone(later));
        }
    }

    /// The head that is promised for this one.
    pub(crate) fn promised(&self) -> &Self {
        self.later.get().map_or(self, |later| later)
    }

    /// The sequencer's signature over it.
    #[must_use]
    pub(crate) fn signature(&self, key: &Key, domain: &Domain) -> Signature {
        *self.signature.get_or_init(|| {
            let head = LogHead { sequence: self.sequence, log_hash: self.log_hash };
            key.sign_typed(domain, head).signature
        })
    }
}

/// What became of one command.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It took effect and is durable.
    Done(Done),
    /// It changed nothing.
    Rejected {
        /// Why.
        reject: Reject,
        /// Terms of the market that an order named, if it trades.
        terms: Option<Terms>,
        /// Whether it is an order whose nonce was spent before.
        spent: bool,
    },
    /// It was a tree, is durable, and each of its orders came to something.
    Tree(TreeDone),
}

impl Outcome {
    /// Whether nothing came of it and it may have come from anybody: who has seen what somebody signed, and batches are public,
    /// can send it again with whatever isn't signed. An order that was in a batch has a spent nonce, whatever it is refused for; anything
    /// else is refused for it. What is too late may have gone astray.
    pub(crate) fn may_be_a_copy(&self) -> bool {
        let is_old =
            |reject: &Reject, spent| spent || matches!(reject, Reject::NonceSpent { .. } | Reject::Expired { .. });
        match self {
            Self::Done(_) => false,
            Self::Rejected { reject, spent, .. } => is_old(reject, *spent),
            Self::Tree(done) => done
                .orders
                .iter()
                .all(|order| order.as_ref().is_err_and(|refused| is_old(&refused.reject, refused.spent))),
        }
    }
}

/// A tree of which each order was tried.
#[derive(Clone, Debug)]
pub(crate) struct TreeDone {
    /// Where it stands in the log.
    pub(crate) sequence: u64,
    /// The end of the log when it was acknowledged.
    pub(crate) head: Arc<Head>,
    /// What its orders came to, in their order.
    pub(crate) orders: Vec<Result<Effect, Box<RefusedOrder>>>,
}

/// An order of a tree that changed nothing.
#[derive(Clone, Debug)]
pub(crate) struct RefusedOrder {
    /// Why.
    pub(crate) reject: Reject,
    /// Terms of its market, if it trades.
    pub(crate) terms: Option<Terms>,
    /// Whether its nonce was spent before.
    pub(crate) spent: bool,
}

/// A command that took effect.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// Where it stands in the log.
    pub(crate) sequence: u64,
    /// The end of the log when it was acknowledged.
    pub(crate) head: Arc<Head>,
    /// What it did.
    pub(crate) effect: Effect,
}

/// What a price and a size mean in a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Price of certainty.
    pub ticks: u64,
    /// Atoms per tick·lot.
    pub quantum: u64,
}

impl Terms {
    pub(crate) fn of(config: &EventConfig) -> Self {
        Self { ticks: config.ticks.into(), quantum: config.terms.quantum }
    }

    /// Price of one tick, in tokens per share.
    pub(crate) fn tick_size(self) -> String {
        ratio(1, self.ticks.into())
    }

    /// Shares in one lot; a share of what wins pays one token.
    pub(crate) fn lot_size(self, decimals: u8) -> String {
        let payout = u128::from(self.ticks) * u128::from(self.quantum);
        ratio(payout, 10_u128.checked_pow(decimals.into()).unwrap_or(u128::MAX))
    }
}

/// What a command did, from its sender's side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Lots that filled.
    pub filled: Lots,
    /// Lots that rest in the book or wait, or that were taken out of it.
    pub remaining: Lots,
    /// The fills of an arriving order.
    pub fills: Vec<FillInfo>,
}

impl Effect {
    /// Reads what a command did from its events; the reason if it was rejected.
    pub(crate) fn read(command: &Command, events: &[Event]) -> Result<Self, Reject> {
        let mut effect = Self::default();
        let arriving = match command {
            Command::Place { order, .. }
            | Command::Replace { order, .. }
            | Command::Plan { order, .. }
            | Command::Replan { order, .. } => Some((order.message.account, order.message.nonce)),
            Command::Cancel(_)
            | Command::Amend(_)
            | Command::CancelAll(_)
            | Command::CancelMany(_)
            | Command::CancelAfter(_)
            | Command::Withdraw(_)
            | Command::Transfer(_)
            | Command::Window { .. }
            | Command::Liquidate(_)
            | Command::Convert(_)
            | Command::PlaceTree { .. }
            | Command::InSession { .. }
            | Command::Frame { .. } => None,
        };
        for event in events {
            match event {
                Event::Rejected { reject, .. } => return Err(reject.clone()),
                Event::Filled(fill) if arriving == Some((fill.taker, fill.taker_nonce)) => {
                    effect.filled = Lots(effect.filled.0 + fill.size.0);
                    effect.fills.push(FillInfo { price: fill.price, size: fill.size, fee: fill.taker_fee });
                }
                Event::Planned { order, .. } if arriving == Some((order.account, order.nonce)) => {
                    effect.remaining = order.size;
                }
                Event::Released { account, nonce, .. } if arriving == Some((*account, *nonce)) => {
                    effect.remaining = Lots(0);
                }
                Event::Rested { account, nonce, remaining, .. } if arriving == Some((*account, *nonce)) => {
                    effect.remaining = *remaining;
                }
                Event::Reduced { by, .. } if arriving.is_none() => effect.remaining = *by,
                // Saturating: many cancelled orders together may exceed what one order may hold.
                Event::Cancelled { remaining, .. } if arriving.is_none() => {
                    effect.remaining = Lots(effect.remaining.0.saturating_add(remaining.0));
                }
                _ => {}
            }
        }
        Ok(effect)
    }

    /// Reads what each order of a tree did. Every order is accepted, planned or rejected, one after the other, and what follows
    /// from it comes behind that.
    pub(crate) fn read_tree(orders: &[Order], events: &[Event]) -> Vec<Result<Self, Reject>> {
        let mut effects: Vec<Result<Self, Reject>> = Vec::with_capacity(orders.len());
        for event in events {
            match event {
                Event::Rejected { reject, .. } => effects.push(Err(reject.clone())),
                Event::Accepted { .. } => effects.push(Ok(Self::default())),
                Event::Planned { order, .. } => effects.push(Ok(Self { remaining: order.size, ..Self::default() })),
                Event::Filled(fill) => {
                    if let Some((Ok(effect), order)) = arriving(&mut effects, orders)
                        && (order.account, order.nonce) == (fill.taker, fill.taker_nonce)
                    {
                        effect.filled = Lots(effect.filled.0 + fill.size.0);
                        effect.fills.push(FillInfo { price: fill.price, size: fill.size, fee: fill.taker_fee });
                    }
                }
                Event::Rested { account, nonce, remaining, .. } => {
                    if let Some((Ok(effect), order)) = arriving(&mut effects, orders)
                        && (order.account, order.nonce) == (*account, *nonce)
                    {
                        effect.remaining = *remaining;
                    }
                }
                _ => {}
            }
        }
        effects
    }
}

/// The order that was tried last, and what it did so far.
fn arriving<'a>(
    effects: &'a mut [Result<Effect, Reject>],
    orders: &'a [Order],
) -> Option<(&'a mut Result<Effect, Reject>, &'a Order)> {
    let last = effects.len().checked_sub(1)?;
    Some((&mut effects[last], orders.get(last)?))
}
