//! What an order would do if it came now; nothing changes.
//!
//! It is checked as it would be, and then meets what rests in the book on a sketch of its account. What it does in truth may be less:
//! others come first, a frame that is nearly full ends a match early, and orders that follow or exclude each other are not
//! followed here.

use std::collections::{BTreeMap, VecDeque};

use xos_book::Handle;
use xos_types::{
    AccountId, Address, Atoms, Instructions, Lots, MarketKind, Order, Ppm, Reject, SelfTrade, Side, Signature, Signed,
    Ticks,
};

use crate::account::{Account, Standing};
use crate::check::{Carried, Checked, Origin, may_rest};
use crate::engine::{Engine, event_index};
use crate::fees::{FeeCredit, builder_fee, builder_reserve};
use crate::limits::MATCHES_MAX;
use crate::margin_view::MarginView;
use crate::matching::opened;
use crate::rights::reducible;
use crate::terms::Terms;
use crate::wide::{MILLION, ceil};

/// What an order would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Where what does not fill would rest: at the order's limit, or better if it slides.
    pub price: Ticks,
    /// Lots that would fill.
    pub filled: Lots,
    /// Σ price · lots of these, in ticks.
    pub notional: u128,
    /// What their venue and the order's builder would charge for these.
    pub fees: Atoms,
    /// Lots that would rest.
    pub rests: Lots,
    /// How the account would stand.
    pub margin: MarginView,
}

/// An order on its way through the book.
struct Trial<'a> {
    order: &'a Order,
    terms: &'a Terms,
    /// Its account as it would stand.
    account: Account,
    remaining: Lots,
    filled: Lots,
    credit: FeeCredit,
    notional: u128,
    fees: i128,
    /// By how much its fills would raise the market's open interest.
    opened: i128,
    /// By how many lots they would change the positions of those whose orders it meets.
    made: BTreeMap<AccountId, i64>,
    /// Whatever is left goes.
    stopped: bool,
}

impl Engine {
    /// What an order of its account's owner would do; nobody has to sign it.
    ///
    /// # Errors
    /// What it would be refused for.
    pub fn preview(&self, order: &Order, instructions: Instructions) -> Result<Preview, Reject> {
        let signer = self.find_account(order.account).map_or(Address::ZERO, |account| account.owner);
        let signed = Signed { message: *order, signature: Signature::default(), signer };
        let checked = self.check_order(&signed, instructions, None, Origin::New)?;

        let terms = &self.listings[event_index(order.market.event())].terms;
        let mut account = self.accounts[order.account].sketch();
        account.watched |= checked.carried == Carried::Watched;
        if terms.kind != MarketKind::Outcome && !account.holdings.contains(terms.feed) {
            account.holdings.open(terms.feed, &self.board[terms.feed]);
        }
        let mut trial = Trial {
            order,
            terms,
            account,
            remaining: order.size,
            filled: Lots(0),
            credit: FeeCredit::default(),
            notional: 0,
            fees: 0,
            opened: 0,
            made: BTreeMap::new(),
            stopped: false,
        };
        self.try_matches(&mut trial, checked.price, instructions.self_trade);
        let rests = self.try_rest(&mut trial, checked);
        Ok(Preview {
            price: checked.price,
            filled: trial.filled,
            notional: trial.notional,
            fees: Atoms(trial.fees),
            rests,
            margin: trial.account.margin(&self.board),
        })
    }

    /// Meets what crosses, as [`Engine::match_order`] does; whoever waits for an auction meets only its own.
    fn try_matches(&self, trial: &mut Trial<'_>, limit: Ticks, self_trade: SelfTrade) {
        let order = trial.order;
        if self.awaits_auction(order.market) {
            for handle in self.own_crossing(order, limit) {
                if !trial.stopped {
                    self.try_own(trial, handle, self_trade);
                }
            }
            return;
        }
        let book = self.find_book(order.market).expect("it passed its checks");
        let mut queue = book.queue(&self.orders.resting, order.side.opposite()).peekable();
        // What icebergs hide comes part by part, behind all others at its price.
        let mut hiding: VecDeque<(Handle, Lots)> = VecDeque::new();
        for met in 0.. {
            let price = |handle| self.orders.price(handle);
            let next = queue.peek().copied();
            let (handle, shown, hidden) = match hiding.front().copied() {
                Some((handle, hidden)) if next.is_none_or(|next| price(next) != price(handle)) => {
                    hiding.pop_front();
                    let shown = self.orders.display(handle).min(hidden);
                    (handle, shown, Lots(hidden.0 - shown.0))
                }
                _ => {
                    let Some(handle) = queue.next() else { break };
                    let shown = self.orders.shown(handle);
                    (handle, shown, Lots(self.orders.remaining(handle).0 - shown.0))
                }
            };
            let crosses = match order.side {
                Side::Buy => price(handle) <= limit,
                Side::Sell => price(handle) >= limit,
            };
            if trial.remaining == Lots(0) || trial.stopped || !crosses {
                break;
            }
            if met == MATCHES_MAX {
                trial.stopped = true;
            } else if self.orders.account(handle) == order.account {
                self.try_own(trial, handle, self_trade);
            } else {
                let filled = trial.filled;
                self.try_fill(trial, handle, shown);
                // Whoever could not trade goes with all that it hides.
                if trial.filled > filled && hidden > Lots(0) {
                    hiding.push_back((handle, hidden));
                }
            }
        }
    }

    /// Meets an order of its own account.
    fn try_own(&self, trial: &mut Trial<'_>, handle: Handle, self_trade: SelfTrade) {
        let terms = trial.terms;
        let own = self.orders.standing(handle);
        let goes = match self_trade {
            SelfTrade::CancelTaker => Lots(0),
            SelfTrade::CancelMaker | SelfTrade::CancelBoth => own.lots,
            SelfTrade::Decrement => own.lots.min(trial.remaining),
        };
        let held_back = |lots| self.orders.reserved(handle, Standing { lots, ..own }, terms);
        let freed = held_back(own.lots) - held_back(Lots(own.lots.0 - goes.0));
        trial.account.release(terms, &self.board, Standing { lots: goes, ..own }, freed);
        trial.stopped = match self_trade {
            SelfTrade::CancelMaker => false,
            SelfTrade::CancelTaker | SelfTrade::CancelBoth => true,
            SelfTrade::Decrement => goes == trial.remaining,
        };
        if self_trade == SelfTrade::Decrement {
            trial.remaining.0 -= goes.0;
        }
    }

    /// Meets so many lots of somebody else's order.
    fn try_fill(&self, trial: &mut Trial<'_>, handle: Handle, resting: Lots) {
        let &mut Trial { order, terms, .. } = trial;
        let (maker, maker_reduces) = (self.orders.account(handle), self.orders.reduces(handle));
        let making_account = &self.accounts[maker];
        let price = self.orders.price(handle);
        let mut size = resting.min(trial.remaining);
        if order.reduce_only {
            size = size.min(Lots(trial.account.reducible(terms, order.market, order.side)));
            trial.stopped = size == Lots(0);
        }
        let made = trial.made.get(&maker).copied().unwrap_or_default();
        let making_position = making_account.position(terms, order.market) + made;
        if maker_reduces {
            size = size.min(Lots(reducible(making_position, order.side.opposite())));
        }
        if terms.kind == MarketKind::Spot {
            let sellable = match order.side {
                Side::Buy => self.sellable(maker, order.market, maker_reduces).0.saturating_sub(made.unsigned_abs()),
                Side::Sell => {
                    self.sellable(order.account, order.market, order.reduce_only).0.saturating_sub(trial.filled.0)
                }
            };
            size = size.min(Lots(sellable));
            trial.stopped |= size == Lots(0) && order.side == Side::Sell;
        }
        if size == Lots(0) {
            return;
        }
        let opens = trial.opens(making_position, size);
        if self.exceeds_open_interest(order.market, trial.opened, opens) {
            trial.stopped = true;
            return;
        }
        let trade = |side| Standing { market: order.market, side, price, lots: size };
        let fee = |rate: Ppm| ceil(terms.fee_base(price, size) * i128::from(rate.0), MILLION);
        let lots = i128::from(size.0);
        let making = || {
            let builder = builder_reserve(terms, price, self.orders.order(handle).builder_fee) * lots;
            self.may_trade(maker, terms, trade(order.side.opposite()), fee(terms.maker_fee.fee()) + builder)
        };
        if making_account.watched && !making() {
            return;
        }
        let builder = builder_reserve(terms, price, order.builder_fee) * lots;
        let before = self.watched_since(order.account);
        let carries = || self.carries(&trial.account, before, terms, trade(order.side), fee(terms.taker_fee) + builder);
        if trial.account.watched && !carries() {
            trial.stopped = true;
            return;
        }
        let notional = trial.notional + u128::from(price.0) * u128::from(size.0);
        let builder = |notional| builder_fee(terms, notional, order.builder_fee);
        let fee = trial.credit.charge(terms.fee_base(price, size), self.taker_rate(terms, order.account))
            + builder(notional)
            - builder(trial.notional);
        trial.account.trade_arriving(terms, &self.board, self.frame.id(), trade(order.side), fee);
        trial.remaining.0 -= size.0;
        trial.filled.0 += size.0;
        trial.notional = notional;
        trial.fees += fee;
        trial.opened += opens;
        let lots = i64::try_from(size.0).expect("an order is at most SIZE_MAX lots");
        trial.made.insert(maker, made + if order.side == Side::Buy { -lots } else { lots });
    }

    /// How many lots come to rest.
    fn try_rest(&self, trial: &mut Trial<'_>, checked: Checked) -> Lots {
        let &mut Trial { order, terms, remaining, .. } = trial;
        if trial.stopped || !may_rest(order.kind) {
            return Lots(0);
        }
        let rests = if order.reduce_only {
            remaining.min(Lots(trial.account.reducible(terms, order.market, order.side)))
        } else {
            remaining
        };
        let builder = builder_reserve(terms, checked.price, order.builder_fee) * i128::from(rests.0);
        let fee = trial.credit.outstanding(terms.fee_base(checked.price, rests), terms.maker_fee.fee()) + builder;
        let standing = Standing { market: order.market, side: order.side, price: checked.price, lots: rests };
        trial.account.requote(terms, &self.board, None, Some((standing, fee)));
        rests
    }
}

impl Trial<'_> {
    /// By how much a fill against somebody with that position changes open interest.
    fn opens(&self, maker: i64, size: Lots) -> i128 {
        let Self { order, terms, account, .. } = self;
        if terms.kind == MarketKind::Spot {
            return 0;
        }
        let lots = i64::try_from(size.0).expect("an order is at most SIZE_MAX lots");
        let taker = account.position(terms, order.market);
        let (buyer, seller) = match order.side {
            Side::Buy => (taker, maker),
            Side::Sell => (maker, taker),
        };
        opened(buyer, buyer + lots) + opened(seller, seller - lots)
    }
}
